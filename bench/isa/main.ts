/**
 * usage: deno task bench:isa [FOLDER] [--family navi21] [--check]
 *
 * What a real GPU's compiler makes of every kernel that a 7B and a 135M model use, without that GPU: naga turns the
 * specialised WGSL into SPIR-V as Deno does, and RADV's null device compiles it for an AMD family. The figures are the
 * same every time; they are written to bench/isa/FAMILY.txt, so that a diff shows a regression. With --check that file is
 * only compared. FOLDER keeps the WGSL and the machine code of each kernel.
 *
 * Needs naga (`cargo install naga-cli --version 29`), gcc, libvulkan-dev and mesa-vulkan-drivers.
 *
 * @module
 */
import { resolvePath } from "../../src/cli/command.ts";
import { choice, flag, readOptions, UsageError } from "../../src/cli/options.ts";
import { Gpu } from "../../src/gpu/device.ts";
import type { KvFormat } from "../../src/kernels/kv_formats.ts";
import type { SourceDtype } from "../../src/kernels/store_rows.ts";
import { dp4a } from "../ceilings.ts";
import { type ShapeName, shapeOf } from "../shapes.ts";
import { SyntheticModel, type SyntheticOptions } from "../synthetic_model.ts";
import { createListingDevice, type ListedShader } from "./listing_device.ts";
import { openRadv } from "./radv.ts";
import { formatTable, type KernelFigures, problems } from "./report.ts";

const MODELS: readonly ShapeName[] = ["Llama-2-7B", "SmolLM2-135M"];
const KV_FORMATS: readonly KvFormat[] = ["f16", "q8", "q4"];

/** AMD's RDNA2 runs 32 lanes; a binding holds up to 2 GiB there. */
const ADAPTER = { subgroupSize: 32, maxTensorBytes: 2 ** 31 - 16 };

/** GGUF's types of blocks. */
const BLOCK_TYPES: readonly SourceDtype[] = ["Q6_K", "Q5_1", "Q5_K", "Q5_0", "Q4_1", "Q4_K", "Q3_K", "Q2_K"];

/** The shaders of a model's prefill and decode, each once, by a name that tells model and formats apart. */
async function listKernels(): Promise<Map<string, ListedShader>> {
  const found = new Map<string, ListedShader>();
  const list = async (model: ShapeName, options: Pick<SyntheticOptions, "kvFormat" | "weights" | "dtype">) => {
    const { device, shaders } = createListingDevice(ADAPTER);
    using gpu = await Gpu.from(device);
    const size = { config: shapeOf(model, 1), contextLength: 65536, prefillChunk: 512, fill: false };
    using synthetic = await SyntheticModel.create(gpu, { ...size, ...options });
    synthetic.decode(0);
    synthetic.prefill(0, 512, true);
    const counts = new Map<string, number>();
    for (const shader of shaders) {
      if (shader.name === "subgroups trial") continue;
      const known = [...found.values()].some(({ code }) => code === shader.code);
      const n = (counts.get(shader.name) ?? 0) + 1;
      counts.set(shader.name, n);
      if (!known) found.set(`${model} ${shader.name}${n > 1 ? ` (${n})` : ""}`, shader);
    }
  };
  for (const model of MODELS) {
    for (const kvFormat of KV_FORMATS) await list(model, { kvFormat, weights: "q4" });
  }
  for (const dtype of BLOCK_TYPES) await list("Llama-2-7B", { kvFormat: "f16", weights: "auto", dtype });
  found.set("ceiling dp4a", await ceilingShader());
  return found;
}

/** The ceiling of byte products: tells whether the compiler has an instruction for them. */
async function ceilingShader(): Promise<ListedShader> {
  const { device, shaders } = createListingDevice(ADAPTER);
  using gpu = await Gpu.from(device);
  using out = gpu.createTensor("out", "u32", [64]);
  gpu.record().dispatch(dp4a, { out }, { n_workgroups: 1, a: 1, b: 1 }, { ROUNDS: 64 });
  return shaders.find(({ name }) => name === "dp4a")!;
}

async function main(): Promise<void> {
  const { positionals: [folder], values } = readOptions(Deno.args, {
    "family": choice(["navi10", "navi21", "navi31", "vega20"], "AMD family to compile for"),
    "check": flag("Compare with the committed figures and write nothing"),
  });
  const family = values.family ?? "navi21";
  const file = new URL(`${family}.txt`, import.meta.url);
  await using radv = await openRadv(family);
  const rows: KernelFigures[] = [];
  for (const [name, shader] of await listKernels()) {
    const { figures, assembly } = await radv.compile(shader);
    rows.push({ name, ...figures });
    if (folder === undefined) continue;
    const path = `${resolvePath(folder)}/${name.replace(/[^\w.-]+/g, "_")}`;
    await Deno.mkdir(resolvePath(folder), { recursive: true });
    await Deno.writeTextFile(`${path}.wgsl`, shader.code);
    await Deno.writeTextFile(`${path}.asm`, assembly);
  }
  const table = formatTable(family, rows);
  console.log(table);
  for (const problem of problems(rows)) console.error(`bench:isa: ${problem}`);
  if (!values.check) await Deno.writeTextFile(file, table);
  else if (await Deno.readTextFile(file) !== table) {
    console.error(`skein: The machine code differs from ${family}.txt: run deno task bench:isa and read the diff`);
    Deno.exit(1);
  }
}

try {
  await main();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`skein: ${error.message}`);
  Deno.exit(1);
}
