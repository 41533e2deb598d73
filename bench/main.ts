/**
 * usage: deno task bench [MODEL ...] [--only kernels|loading|generate|batch|speculation] [--json]
 *
 * Kernels in GB/s or GFLOP/s and as a share of what this device copies or multiplies at best, measured in the same
 * process; then how fast models load, read a prompt and generate: one text, several at once, and with guesses. MODEL is
 * a folder or a .gguf file; without one it is the demo's.
 *
 * @module
 */
import { reasonOf, resolvePath } from "../src/cli/command.ts";
import { choice, describeOptions, flag, readOptions, UsageError } from "../src/cli/options.ts";
import { Gpu } from "../src/gpu/device.ts";
import { measureAttention } from "./attention.ts";
import { type BatchFigures, benchBatches } from "./batch_bench.ts";
import { type Ceilings, measureCeilings } from "./ceilings.ts";
import { benchGenerate, type GenerateFigures } from "./generate_bench.ts";
import { type KernelRow, measureKernels } from "./kernels.ts";
import { benchLoading, type LoadingFigures } from "./loading_bench.ts";
import { benchSpeculation, type SpeculationRow } from "./speculation_bench.ts";

const DEMO_MODEL = new URL("../tests/testdata/pg-nano-yarn-2k", import.meta.url).pathname;

/** Everything that one run measures. */
interface Report {
  device: string;
  ceilings?: Ceilings;
  kernels?: KernelRow[];
  models: {
    model: string;
    loading?: LoadingFigures[];
    generate?: GenerateFigures;
    batch?: BatchFigures[];
    speculation?: SpeculationRow[];
  }[];
}

async function measure(paths: readonly string[], only: string | undefined): Promise<Report> {
  const report = await measureDevice(only === undefined || only === "kernels");
  if (only === "kernels") return report;
  const isWanted = (part: string) => only === undefined || only === part;
  for (const path of paths) {
    const model = path.replace(/[\\/]+$/, "").replace(/^.*[\\/]/, "");
    report.models.push({
      model,
      ...(isWanted("loading") ? { loading: await benchLoading(path) } : {}),
      ...(isWanted("generate") ? { generate: await benchGenerate(path) } : {}),
      ...(isWanted("batch") ? { batch: await benchBatches(path) } : {}),
      ...(isWanted("speculation") ? { speculation: await benchSpeculation(path) } : {}),
    });
  }
  return report;
}

async function measureDevice(withKernels: boolean): Promise<Report> {
  using gpu = await Gpu.request();
  if (!withKernels) return { device: gpu.name, models: [] };
  const ceilings = await measureCeilings(gpu);
  const kernels = [...await measureKernels(gpu, ceilings), ...await measureAttention(gpu, ceilings)];
  return { device: gpu.name, ceilings, kernels, models: [] };
}

function print(report: Report): void {
  console.log(`device: ${report.device}, ${navigator.hardwareConcurrency} processors\n`);
  if (report.ceilings !== undefined) {
    const { copyGbPerS, fmaGflopPerS } = report.ceilings;
    console.log(`ceilings: copy ${copyGbPerS.toFixed(1)} GB/s, multiply-add ${fmaGflopPerS.toFixed(1)} GFLOP/s`);
    const wide = 2 + Math.max(...(report.kernels ?? []).map(({ kernel }) => kernel.length));
    for (const { kernel, shape, ms, gbPerS, gflopPerS, shareOfCeiling } of report.kernels ?? []) {
      const rate = gbPerS !== undefined ? `${gbPerS.toFixed(1)} GB/s` : `${gflopPerS!.toFixed(1)} GFLOP/s`;
      const share = `${(100 * shareOfCeiling).toFixed(0)}%`;
      console.log(
        `  ${kernel.padEnd(wide)}${shape.padEnd(52)}${ms.toFixed(2).padStart(8)} ms${rate.padStart(15)}${
          share.padStart(6)
        }`,
      );
    }
    console.log();
  }
  for (const { model, loading, generate, batch, speculation } of report.models) {
    console.log(model);
    for (const row of loading ?? []) {
      const rate = row.fileBytes / 1e6 / row.loadMs;
      console.log(
        `  load ${row.weights.padEnd(5)}${row.loadMs.toFixed(0).padStart(7)} ms  ${rate.toFixed(2).padStart(6)} GB/s ` +
          `x${(row.readMs / row.loadMs).toFixed(2)} of Deno.readFile (${row.readMs.toFixed(0)} ms; in pieces ${
            row.readPiecesMs.toFixed(0)
          } ms)  host ${(row.hostBytes / 2 ** 20).toFixed(0)} MiB`,
      );
    }
    if (generate !== undefined) {
      const { promptTokens, tokens, loadMs, prefillTokensPerSecond, firstTokenMs, decodeTokensPerSecond, blockedMs } =
        generate;
      console.log(`  ready in ${loadMs.toFixed(0)} ms, pipelines included`);
      const blocked = (ms: number) => `the event loop blocked for ${ms.toFixed(0)} ms at most`;
      console.log(
        `  prefill ${promptTokens} tokens: ${prefillTokensPerSecond.toFixed(1)} tok/s, first token after ${
          firstTokenMs.toFixed(0)
        } ms, ${blocked(blockedMs.prefill)}`,
      );
      console.log(`  decode ${tokens} tokens: ${decodeTokensPerSecond.toFixed(1)} tok/s, ${blocked(blockedMs.decode)}`);
    }
    for (const { sequences, tokensPerSecond, ratio } of batch ?? []) {
      console.log(
        `  decode${String(sequences).padStart(3)} at once: ${tokensPerSecond.toFixed(1)} tok/s together (x${
          ratio.toFixed(2)
        })`,
      );
    }
    for (const { text, accepted, plainTokensPerSecond, tokensPerSecond } of speculation ?? []) {
      const share = accepted === null ? "no guesses" : `${(100 * accepted).toFixed(0)}% of guesses right`;
      console.log(
        `  speculate, a text that ${text}: ${tokensPerSecond.toFixed(1)} tok/s, without ${
          plainTokensPerSecond.toFixed(1)
        }, ${share}`,
      );
    }
    console.log();
  }
}

try {
  const options = {
    "only": choice(["kernels", "loading", "generate", "batch", "speculation"], "Measure only this"),
    "json": flag("Print one JSON document"),
  };
  const { positionals, values } = readOptions(Deno.args, { ...options, help: flag("Show this help") });
  if (values.help) {
    console.log(`Usage: deno task bench [MODEL ...]\n\n${describeOptions(options)}`);
    Deno.exit(0);
  }
  const paths = positionals.length > 0 ? positionals.map(resolvePath) : [DEMO_MODEL];
  for (const path of paths) {
    await Deno.stat(path).catch((cause) => {
      throw new UsageError(`Cannot measure ${JSON.stringify(path)}: ${reasonOf(cause)}`, { cause });
    });
  }
  const report = await measure(paths, values.only);
  if (values.json) console.log(JSON.stringify(report));
  else print(report);
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`skein: ${error.message}`);
  Deno.exit(1);
}
