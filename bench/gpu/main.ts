/**
 * usage: deno task bench:gpu [--out FOLDER] [--rehearse] [--json]
 *
 * The report on a GPU, in one command and under 8 minutes on an H100: the adapter and its limits; what a copy, a
 * multiply-add, a byte product and an idle dispatch take at best; every kernel as a share of its ceiling; and models by
 * their shape, with q4 weights and f16, q8 and q4 KV: prefill of 512 to 64k tokens, decode after 0 to 64k. Writes
 * DEVICE.json and DEVICE.svg, a roofline, to FOLDER, bench/results unless given. With --rehearse shapes and lengths are
 * small, so that a software adapter gets through it all.
 *
 * @module
 */
import { resolvePath } from "../../src/cli/command.ts";
import { flag, readOptions, text, UsageError } from "../../src/cli/options.ts";
import { Gpu } from "../../src/gpu/device.ts";
import { measureAttention, MODELS } from "../attention.ts";
import { type Ceilings, measureCeilings, measureMoreCeilings, type MoreCeilings } from "../ceilings.ts";
import { type KernelRow, measureKernels, SHAPES } from "../kernels.ts";
import { measureModels, type ModelPlan, type ModelRow } from "./model_rows.ts";
import { rooflineSvg } from "./roofline.ts";

/** Everything that one run tells. */
interface GpuReport {
  readonly device: string;
  readonly runtime: string;
  readonly limits: Record<string, number>;
  readonly features: Gpu["features"];
  readonly ceilings: Ceilings & MoreCeilings;
  readonly kernels: readonly KernelRow[];
  readonly models: readonly ModelRow[];
  readonly seconds: number;
}

const WHOLE: ModelPlan = {
  models: ["Llama-2-7B", "Llama-3-8B", "Llama-3.2-1B", "SmolLM2-135M"],
  kvFormats: ["f16", "q8", "q4"],
  prompts: [512, 4096, 16384, 65536],
  depths: [0, 4096, 16384, 65536],
  prefillChunk: 512,
  mostChunks: 8,
  steps: 8,
  secondsInAll: 330,
};

const REHEARSAL: ModelPlan = {
  ...WHOLE,
  models: ["rehearsal"],
  prompts: [128, 512],
  depths: [0, 512],
  prefillChunk: 64,
  mostChunks: 4,
};

const LIMITS = [
  "maxStorageBufferBindingSize",
  "maxBufferSize",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupsPerDimension",
  "maxStorageBuffersPerShaderStage",
] as const;

function say(line: string): void {
  console.error(line);
}

function sayModel(
  { model, kvFormat, phase, tokens, tokensPerSecond, chunks, shareOfCopy, hostMs, refused }: ModelRow,
): void {
  const what = `${model} KV ${kvFormat} ${phase} ${phase === "prefill" ? "of" : "after"} ${tokens}`.padEnd(48);
  if (tokensPerSecond === undefined) return say(`  ${what}${refused}`);
  const share = shareOfCopy === undefined ? "" : `  ${(100 * shareOfCopy).toFixed(0)}% of copy bandwidth`;
  const sampled = chunks !== undefined && chunks[0] < chunks[1] ? `  by ${chunks[0]} of ${chunks[1]} chunks` : "";
  const host = hostMs === undefined ? "" : `  ${hostMs.toFixed(2)} ms of the host a token`;
  say(`  ${what}${tokensPerSecond.toFixed(1).padStart(10)} tok/s${share}${sampled}${host}`);
}

async function measure(rehearse: boolean): Promise<GpuReport> {
  const started = performance.now();
  using gpu = await Gpu.request();
  say(`${gpu.name}, Deno ${Deno.version.deno}`);
  const limits = Object.fromEntries(LIMITS.map((name) => [name, gpu.limits[name]]));
  const ceilings = { ...await measureCeilings(gpu), ...await measureMoreCeilings(gpu) };
  say(
    `  copy ${ceilings.copyGbPerS.toFixed(1)} GB/s, multiply-add ${ceilings.fmaGflopPerS.toFixed(0)} GFLOP/s, ` +
      `dot4 ${ceilings.dot4GopPerS.toFixed(0)} GOP/s, launch ${ceilings.launchUs.toFixed(2)} us`,
  );
  const matrices = rehearse ? SHAPES.slice(0, 1) : SHAPES;
  const heads = rehearse ? [{ name: "rehearsal", nHeads: 4, nKvHeads: 2, headDim: 64 }] : MODELS;
  const kernels = [
    ...await measureKernels(gpu, ceilings, matrices),
    ...await measureAttention(gpu, ceilings, heads),
  ];
  for (const { kernel, shape, ms, shareOfCeiling } of kernels) {
    const share = `${(100 * shareOfCeiling).toFixed(0)}%`.padStart(5);
    say(`  ${kernel.padEnd(48)}${shape.padEnd(52)}${ms.toFixed(3).padStart(9)} ms${share}`);
  }
  const models = await measureModels(gpu, ceilings, rehearse ? REHEARSAL : WHOLE, sayModel);
  const seconds = Math.round((performance.now() - started) / 1000);
  say(`  ${seconds} s in all`);
  const runtime = `Deno ${Deno.version.deno}`;
  return { device: gpu.name, runtime, limits, features: gpu.features, ceilings, kernels, models, seconds };
}

try {
  const { values } = readOptions(Deno.args, {
    "out": text("FOLDER", "Where to write DEVICE.json and DEVICE.svg"),
    "rehearse": flag("Small shapes and lengths, for a software adapter"),
    "json": flag("Print the JSON too"),
  });
  const report = await measure(values.rehearse === true);
  const folder = values.out === undefined ? new URL("../results", import.meta.url).pathname : resolvePath(values.out);
  const file = `${folder}/${report.device.toLowerCase().replace(/[^a-z0-9]+/g, "_").replace(/^_|_$/g, "")}`;
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(`${file}.json`, JSON.stringify(report, null, 2) + "\n");
  await Deno.writeTextFile(`${file}.svg`, rooflineSvg(report.device, report.ceilings, report.kernels));
  say(`  written: ${file}.json and .svg`);
  if (values.json) console.log(JSON.stringify(report));
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`skein: ${error.message}`);
  Deno.exit(1);
}
