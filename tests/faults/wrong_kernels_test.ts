import { assert, assertEquals, assertRejects } from "@std/assert";
import { loadModel, type LoadOptions, ShaderError } from "../../mod.ts";
import { openRuntime } from "../../src/api/load.ts";
import { openModel } from "../../src/api/opened_model.ts";
import { denoSource } from "../../src/checkpoint/deno_source.ts";
import { blobSource, type ModelSource } from "../../src/checkpoint/source.ts";
import { resolveSampling } from "../../src/generate/sampling.ts";
import { Gpu } from "../../src/gpu/device.ts";
import type { Constants, Kernel } from "../../src/gpu/kernel.ts";
import { Recorder } from "../../src/gpu/recorder.ts";
import { checkKernels } from "../../src/model/kernel_check.ts";
import { checkScores, checkSelection } from "../../src/model/selection_check.ts";
import { warmUp } from "../../src/model/warm_up.ts";
import { disposeWeights, loadWeights } from "../../src/model/weights.ts";

const folder = new URL("../testdata/tiny/", import.meta.url).pathname;
const qwen3 = `${folder}qwen3_yarn`;
const settings = { weights: "q4", kvCache: "f16", contextLength: 64, prefillChunk: 16 } as const;

/** What is left of a model on the GPU. */
async function runtimeOf(source: ModelSource, options: LoadOptions) {
  return (await openRuntime(await openModel(source, options), options)).runtime;
}

/** Changes by which kernels that store weights take a neighbour's, and those that select forget a little. */
const CHANGES = [
  ["<< (i * 16u)", "<< (16u - i * 16u)"],
  ["load_scale_and_minimum(place.byte, place.item)", "load_scale_and_minimum(place.byte, place.item ^ 1u)"],
  ["load_low(place.byte, group)", "load_low(place.byte, group ^ 1u)"],
  ["load_pair(place.byte, pair + 1u)", "load_pair(place.byte, pair + 2u)"],
  ["low.zw", "low.wz"],
  ["= values[i];", "= values[i].yxzw;"],
  ["k += vec2u(0x9e3779b9u", "k += vec2u(0x9e3779b8u"],
  ["exp2(-gap * params.scale)", "exp2(-gap * params.scale * 0.99)"],
  ["mass >= params.min_mass", "mass > 2u * params.min_mass"],
  [/(logits\[[\w.]+\] = )([^;]+);/, "$1($2) * 0.99;"],
  ["bitcast<u32>(sum)", "bitcast<u32>(sum * 0.99)"],
  ["(copied[token[0]]) - largest", "(copied[token[0]])"],
  [/(out\[row\] = [^;]+);/, "$1 ^ 0x10000u;"],
] as const;

/** A kernel whose result is off by half, whose choice is the wrong one, or that takes the wrong weights. */
function spoiled(kernel: string, code: string): string {
  if (kernel === "argmax") return code.replaceAll("key_here > key", "key_here < key");
  if (kernel === "advance") return code.replaceAll("candidate.x > key", "candidate.x < key");
  if (isStoring(kernel) || SELECTING.includes(kernel)) {
    return CHANGES.reduce((changed, [from, to]) => changed.replace(from, to), code);
  }
  const begin = code.lastIndexOf("@compute");
  return code.slice(0, begin) + code.slice(begin)
    // Of what a split of attention leaves, outputs alone: scaled with their sum they would mean the same.
    .replace(/\b(partials\[[^;=]*\] = )([^;]+);/, "$1($2) * 1.5;")
    .replace(/\b((?:out|q|qkv)\[[^;=]*\] \+?= )([^;]+);/g, "$1($2) * 1.5;");
}

function isStoring(kernel: string): boolean {
  return /^(re|un)?pack_/.test(kernel);
}

const SELECTING = [
  ...["sample", "sample_mass", "bias", "penalize", "mask", "top_logprobs", "top_logprobs_row", "logprobs"],
];

/** Names of the kernels that are dispatched meanwhile. */
async function dispatched(work: () => Promise<unknown>): Promise<string[]> {
  const names = new Set<string>();
  const { dispatch } = Recorder.prototype;
  Recorder.prototype.dispatch = function (this: Recorder, kernel, ...rest): void {
    names.add(kernel.name);
    dispatch.call(this, kernel, ...rest);
  } as typeof dispatch;
  try {
    await work();
  } finally {
    Recorder.prototype.dispatch = dispatch;
  }
  return [...names];
}

/** Work on a GPU that makes another kernel of one than its source says is refused, by that one's name. */
async function assertNamed(
  { pipelines }: Gpu,
  kernel: string,
  work: () => Promise<unknown>,
  isMeant: (constants: Constants) => boolean = () => true,
): Promise<void> {
  const wrong = new Map<Kernel, Kernel>();
  const { get } = pipelines;
  pipelines.get = (each, constants) => {
    if (each.name !== kernel || !isMeant(constants)) return get.call(pipelines, each, constants);
    // Comments are formulas too.
    const source = each.source.join("").replace(/^ *\/\/.*$/gm, "");
    const other = wrong.get(each) ?? { ...each, source: [spoiled(kernel, source)] };
    assert(other.source[0] !== source, `${kernel} has nothing to change`);
    wrong.set(each, other);
    return get.call(pipelines, other, constants);
  };
  try {
    const error = await assertRejects(work, ShaderError, "computes wrongly on ");
    assert(error.message.split(" computes")[0]!.split(" ").includes(kernel), `${kernel}: ${error.message}`);
  } finally {
    pipelines.get = get;
  }
}

/** A device with every feature, whose compiler makes another kernel of one than its source says. */
async function miscompiling(kernel: string): Promise<GPUDevice> {
  const adapter = await navigator.gpu.requestAdapter();
  const features = ["subgroups", "shader-f16"] as GPUFeatureName[];
  const device = await adapter!.requestDevice({ requiredFeatures: features });
  // Deno asks the adapter on first use, and panics where that is garbage by then.
  void device.adapterInfo;
  const compile = device.createShaderModule.bind(device);
  device.createShaderModule = (descriptor) =>
    compile(
      descriptor.label === kernel ? { ...descriptor, code: spoiled(kernel, descriptor.code) } : descriptor,
    );
  return device;
}

Deno.test("a kernel that computes wrongly is refused by its name, whichever of those that every token takes", async () => {
  const runtime = await runtimeOf(await denoSource(qwen3), settings);
  using gpu = runtime.gpu;
  const kernels = await dispatched(() => warmUp(runtime));
  assert(kernels.length >= 11, kernels.join());
  const choosing = ["argmax", "advance"];
  for (const kernel of kernels.filter((name) => !choosing.includes(name))) {
    await assertNamed(gpu, kernel, () => checkKernels(runtime));
  }
  await checkKernels(runtime);
  // Those that choose are looked at before there is a model, and a load looks at all.
  for (const kernel of [...choosing, "rope_kv.f16"]) {
    assert(kernels.includes(kernel), kernels.join());
    const device = await miscompiling(kernel);
    const error = await assertRejects(
      () => loadModel(qwen3, { ...settings, device }),
      ShaderError,
      "computes wrongly on ",
    );
    assert(error.message.split(" computes")[0]!.split(" ").includes(kernel), `${kernel}: ${error.message}`);
    device.destroy();
  }
});

Deno.test("a specialisation that computes wrongly is refused, whichever number of vectors or of keys it is for", async () => {
  const runtime = await runtimeOf(await denoSource(qwen3), { ...settings, contextLength: 512 });
  using gpu = runtime.gpu;
  for (
    const [kernel, isMeant] of [
      ["matmul_direct.q4", ({ TOKENS }: Constants) => TOKENS === 8],
      ["attention_decode_direct.f16", ({ WHOLE }: Constants) => WHOLE === false],
      ["attention_decode_direct.f16", ({ WHOLE }: Constants) => WHOLE === true],
      ["attention_merge", () => true],
    ] as const
  ) {
    await assertNamed(gpu, kernel, () => checkKernels(runtime), isMeant);
  }
});

/** The tiny model with gains of its queries and keys 30 times as large. */
async function withLargeGains(): Promise<ModelSource> {
  const files = new Map<string, Blob>();
  for (const name of ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"]) {
    const bytes = await Deno.readFile(`${qwen3}/${name}`);
    if (name === "model.safetensors") {
      const begin = 8 + new DataView(bytes.buffer).getUint32(0, true);
      const header: Record<string, { dtype: string; data_offsets?: [number, number] }> = JSON.parse(
        new TextDecoder().decode(bytes.subarray(8, begin)),
      );
      for (const [tensor, { dtype, data_offsets: [first, end] = [0, 0] }] of Object.entries(header)) {
        if (!/[qk]_norm/.test(tensor)) continue;
        assert(dtype === "F16");
        const gains = new Float16Array(bytes.slice(begin + first, begin + end).buffer).map((gain) => gain * 30);
        bytes.set(new Uint8Array(gains.buffer), begin + first);
      }
    }
    files.set(name, new Blob([bytes]));
  }
  return blobSource(files);
}

Deno.test("attention that computes wrongly is refused in each cache format, however large the gains of its norm", async () => {
  const source = await withLargeGains();
  for (const kvCache of ["f16", "q8", "q4"] as const) {
    const runtime = await runtimeOf(source, { ...settings, kvCache });
    using gpu = runtime.gpu;
    for (const kernel of [`attention_prefill_direct.${kvCache}`, `attention_decode_direct.${kvCache}`, "head_norm"]) {
      await assertNamed(gpu, kernel, () => checkKernels(runtime));
    }
  }
});

Deno.test("a kernel that stores weights wrongly is refused by its name, whatever it makes of what", async () => {
  using gpu = await Gpu.request();
  const stored = new Set<string>();
  for (
    const [file, weights] of [
      ["gguf_blocks/model.gguf", "auto"],
      ...["bf16", "f16", "q4_0", "q4_1", "q8_0"].map((name) => [`storage_forms/${name}.gguf`, "auto"]),
      ...["f32", "f16", "q8", "q4"].map((name) => ["storage_forms/f32.gguf", name]),
    ] as [string, NonNullable<LoadOptions["weights"]>][]
  ) {
    const { config, checkpoint } = await openModel(await denoSource(`${folder}${file}`), { weights });
    const load = async () => disposeWeights(await loadWeights(gpu, config, checkpoint, { weights }));
    const kernels = (await dispatched(load)).filter((name) => isStoring(name) && !stored.has(name));
    for (const kernel of kernels) {
      stored.add(kernel);
      await assertNamed(gpu, kernel, load);
    }
    assert(gpu.allocatedBytes === 0);
  }
  const methods = new Set([...stored].map((name) => name.split(".")[0]!));
  const expected = ["pack_q4", "pack_q8", "repack_blocks", "repack_half", "repack_q4", "repack_q4m", "repack_q8"];
  assertEquals([...methods].sort(), [...expected, "unpack_f16", "unpack_f32"]);
  assertEquals([...stored].filter((name) => name.startsWith("repack_blocks.")).length, 7);
});

Deno.test("a kernel that only some generations use is refused by its name when the first does", async () => {
  const sampling = resolveSampling({ temperature: 1, seed: 7 });
  const change = { ...sampling, temperature: 0 };
  const uses: [kernel: string, work: (gpu: Gpu) => Promise<void>, isMeant?: (constants: Constants) => boolean][] = [
    ["sample", (gpu) => checkSelection(gpu, { sampling, isMasked: false })],
    ["bias", (gpu) => checkSelection(gpu, { sampling: { ...change, logitBias: [[1, 2]] }, isMasked: false })],
    ["penalize", (gpu) => checkSelection(gpu, { sampling: { ...change, presencePenalty: 1 }, isMasked: false })],
    ["mask", (gpu) => checkSelection(gpu, { sampling: change, isMasked: true })],
    ["top_logprobs", (gpu) => checkSelection(gpu, { sampling: { ...change, topLogprobs: 0 }, isMasked: false })],
    ["top_logprobs_row", (gpu) => checkSelection(gpu, { sampling: { ...change, topLogprobs: 2 }, isMasked: false })],
    ["logprobs", checkScores],
  ];
  for (const topK of [0, 40]) {
    for (const minP of [0, 0.1]) {
      const filtered = { sampling: { ...sampling, topK, minP }, isMasked: false };
      uses.push(["sample_mass", (gpu) => checkSelection(gpu, filtered), ({ COUNTED, MIN_P }) => {
        return COUNTED === topK > 0 && MIN_P === minP > 0;
      }]);
    }
  }
  assertEquals(new Set(uses.map(([kernel]) => kernel)), new Set(SELECTING));
  using gpu = await Gpu.request();
  for (const [kernel, work, isMeant] of uses) await assertNamed(gpu, kernel, () => work(gpu), isMeant);
  assertEquals(gpu.allocatedBytes, 0);
});

Deno.test("a generation looks at the kernels that it is the first to use", async () => {
  using model = await loadModel(qwen3, { ...settings, device: await miscompiling("sample") });
  const { tokens } = await model.generate([5, 6, 7], { maxTokens: 2 }).result;
  assertEquals(tokens.length, 2);
  const drawn = () => model.generate([5, 6, 7], { maxTokens: 2, temperature: 1 }).result;
  for (let i = 0; i < 2; i++) {
    await assertRejects(drawn, ShaderError, "Kernel sample_mass or sample computes wrongly on ");
  }
});
