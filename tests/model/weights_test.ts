import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Checkpoint, openCheckpoint, type TensorEntry } from "../../src/checkpoint/checkpoint.ts";
import { denoSource } from "../../src/checkpoint/deno_source.ts";
import { blobSource, type ModelSource } from "../../src/checkpoint/source.ts";
import { FormatError } from "../../src/errors.ts";
import type { Matrix, WeightFormat } from "../../src/gpu/matrix.ts";
import type { Tensor } from "../../src/gpu/tensor.ts";
import { parseConfig, parseGgufConfig } from "../../src/model/config.ts";
import {
  disposeWeights,
  type LlamaWeights,
  type LoadProgress,
  loadWeights,
  type LoadWeightsOptions,
  planWeights,
  type WeightChoice,
} from "../../src/model/weights.ts";
import { layoutOf, mapSlots, type Slot } from "../../src/model/weight_layout.ts";
import { CONFIG, sourceOf, type TensorData, tensorsOf } from "../checkpoint/tiny_checkpoint.ts";
import { decodeRows } from "../../src/kernels/source_rows.ts";
import { decodeWeights } from "../reference/weight_formats.ts";
import { gpu, maxError } from "../wgsl/fixture.ts";

const CHOICES: readonly WeightChoice[] = ["auto", "f32", "f16", "q8", "q4"];
const forms = new URL("../testdata/tiny/storage_forms/", import.meta.url);

function configOf(checkpoint: Checkpoint) {
  return checkpoint.format === "gguf"
    ? parseGgufConfig(checkpoint.config, checkpoint.tensors, checkpoint.configFile)
    : parseConfig(checkpoint.config, checkpoint.configFile, checkpoint.generationConfig);
}

async function load(checkpoint: Checkpoint, options: LoadWeightsOptions = {}): Promise<LlamaWeights> {
  return await loadWeights(gpu, configOf(checkpoint), checkpoint, options);
}

/** The weights of a matrix with the padding of its columns: (rows, columns). */
async function values(matrix: Matrix): Promise<Float64Array> {
  assertEquals(matrix.parts.length, 1);
  const { weight, scales } = matrix.parts[0]!;
  return decodeWeights({
    format: matrix.parts[0]!.format,
    rows: matrix.rows,
    columns: matrix.columns,
    weight: new Uint32Array((await gpu.read(weight)).buffer),
    scales: new Uint32Array((await gpu.read(scales)).buffer),
  });
}

function formatOf({ parts }: Matrix): WeightFormat {
  return parts[0]!.format;
}

async function floats(tensor: Tensor): Promise<Float32Array> {
  return new Float32Array((await gpu.read(tensor)).buffer);
}

/** What tensors of a checkpoint hold, one after the other. */
function stacked(tensors: ReadonlyMap<string, TensorData>, ...names: string[]): Float64Array {
  return Float64Array.from(names.flatMap((name) => {
    const { data, dtype, shape } = tensors.get(`${name}.weight`)!;
    return [...decodeRows(data, dtype as "F32", shape.at(-1)!)];
  }));
}

for (const dtype of ["F32", "F16", "BF16"] as const) {
  Deno.test(`loadWeights() puts ${dtype} tensors where they belong`, async () => {
    const tensors = tensorsOf(dtype);
    const weights = await load(await openCheckpoint(sourceOf(tensors)));
    const [layer] = weights.layers;
    const prefix = "model.layers.0.";
    const matrices: [Matrix, string[]][] = [
      [weights.embedTokens, ["model.embed_tokens"]],
      [weights.lmHead, ["lm_head"]],
      [layer!.qkvProj, ["q_proj", "k_proj", "v_proj"].map((name) => `${prefix}self_attn.${name}`)],
      [layer!.oProj, [`${prefix}self_attn.o_proj`]],
      [layer!.gateUpProj, [`${prefix}mlp.gate_proj`, `${prefix}mlp.up_proj`]],
      [layer!.downProj, [`${prefix}mlp.down_proj`]],
    ];
    for (const [matrix, names] of matrices) {
      assertEquals(matrix.parts[0]!.format, dtype.toLowerCase());
      assertEquals(await values(matrix), stacked(tensors, ...names));
    }
    const vectors: [Tensor, string][] = [
      [layer!.inputNorm, `${prefix}input_layernorm`],
      [layer!.postAttentionNorm, `${prefix}post_attention_layernorm`],
      [weights.norm, "model.norm"],
    ];
    for (const [tensor, name] of vectors) {
      assertEquals(Float64Array.from(await floats(tensor)), stacked(tensors, name));
    }
    assertEquals([layer!.qkvBias, layer!.gateUpBias], [undefined, undefined]);
    disposeWeights(weights);
  });
}

Deno.test("loadWeights() pads sizes that are no multiple of 4", async () => {
  const config = { ...CONFIG, hidden_size: 45, intermediate_size: 51, head_dim: 16 };
  const tensors = tensorsOf("F16", config);
  const weights = await load(await openCheckpoint(sourceOf(tensors, config)));
  const { gateUpProj, inputNorm, downProj } = weights.layers[0]!;
  assertEquals([gateUpProj.rows, gateUpProj.columns, downProj.rows, downProj.columns], [104, 48, 48, 52]);
  const up = stacked(tensors, "model.layers.0.mlp.up_proj");
  const stored = await values(gateUpProj);
  for (let row = 0; row < 52; row++) {
    for (let k = 0; k < 48; k++) {
      const expected = row < 51 && k < 45 ? up[row * 45 + k]! : 0;
      assertEquals(stored[(52 + row) * 48 + k]! + 0, expected + 0);
    }
  }
  const gains = stacked(tensors, "model.layers.0.input_layernorm").map((gain) => gain * Math.sqrt(45 / 48));
  assert(maxError(await floats(inputNorm), [...gains, 0, 0, 0]) < 1e-6);
  disposeWeights(weights);
});

for (
  const [form, directory] of [
    ["f32.gguf", "safetensors_f32"],
    ["bf16.gguf", "safetensors_bf16"],
    ["torch_f16", "safetensors_f16"],
    ["torch_bf16", "safetensors_bf16"],
    ["torch_sharded", "safetensors_sharded"],
  ] as const
) {
  Deno.test(`loadWeights() makes the same of ${form} and ${directory}`, async () => {
    const [a, b] = await Promise.all([form, directory].map(async (path) => {
      const source = await denoSource(new URL(path, forms).pathname);
      const weights = await load(await openCheckpoint(source));
      source.close();
      return weights;
    })) as [LlamaWeights, LlamaWeights];
    for (const [i, layer] of a.layers.entries()) {
      assertEquals(await values(layer.qkvProj), await values(b.layers[i]!.qkvProj));
      assertEquals(await values(layer.downProj), await values(b.layers[i]!.downProj));
      assertEquals(await floats(layer.inputNorm), await floats(b.layers[i]!.inputNorm));
    }
    assertEquals(await values(a.embedTokens), await values(b.embedTokens));
    disposeWeights(a);
    disposeWeights(b);
  });
}

Deno.test("loadWeights() gives interleaved biases the order of halves", async () => {
  const folder = new URL("../testdata/tiny/mqa_bias/", import.meta.url);
  const [a, b] = await Promise.all(["f16.gguf", "."].map(async (path) => {
    const source = await denoSource(new URL(path, folder).pathname);
    const weights = await load(await openCheckpoint(source));
    source.close();
    return weights;
  })) as [LlamaWeights, LlamaWeights];
  for (const [i, layer] of a.layers.entries()) {
    const other = b.layers[i]!;
    for (const name of ["qkvBias", "oBias", "gateUpBias", "downBias"] as const) {
      assertEquals(await floats(layer[name]!), await floats(other[name]!));
    }
  }
  disposeWeights(a);
  disposeWeights(b);
});

Deno.test("loadWeights() streams tensors that are larger than a piece", async () => {
  const config = { ...CONFIG, vocab_size: 40000 };
  const tensors = tensorsOf("F32", config);
  const checkpoint = await openCheckpoint(sourceOf(tensors, config));
  const progress: LoadProgress[] = [];
  const before = gpu.allocatedBytes;
  const weights = await load(checkpoint, { weights: "f16", onProgress: (each) => progress.push(each) });
  assertEquals(await values(weights.embedTokens), stacked(tensors, "model.embed_tokens"));
  assertEquals(await values(weights.lmHead), stacked(tensors, "lm_head"));
  assert(progress.length >= 3, "Loading took fewer pieces than tensors of 10 MB have");
  assert(progress.every(({ loaded }, i) => i === 0 || loaded > progress[i - 1]!.loaded));
  const { loaded, total, phase, file } = progress.at(-1)!;
  assertEquals([loaded, phase, file], [total, "load", "model.safetensors"]);
  assertEquals(gpu.allocatedBytes - before, planWeights(configOf(checkpoint), checkpoint, "f16", gpu.maxTensorBytes));
  disposeWeights(weights);
  assertEquals(gpu.allocatedBytes, before);
});

Deno.test("loadWeights() ties the head to the embedding, also where the file has both", async () => {
  const config = { ...CONFIG, tie_word_embeddings: true };
  const tensors = tensorsOf("BF16");
  for (const both of [true, false]) {
    if (!both) tensors.delete("lm_head.weight");
    const weights = await load(await openCheckpoint(sourceOf(tensors, config)));
    assertEquals(weights.lmHead, weights.embedTokens);
    assertEquals(await values(weights.lmHead), stacked(tensors, "model.embed_tokens"));
    disposeWeights(weights);
  }
});

const formats: Record<string, readonly string[]> = {
  "safetensors_f32": ["f32 f32", "f32 f32", "f16 f16", "q8 q8", "q8 q4"],
  "safetensors_f16": ["f16 f16", "f32 f32", "f16 f16", "q8 q8", "q8 q4"],
  "safetensors_bf16": ["bf16 bf16", "f32 f32", "bf16 bf16", "q8 q8", "q8 q4"],
  "q8_0.gguf": ["q8 q8", "f32 f32", "f16 f16", "q8 q8", "q8 q4"],
  "q4_0.gguf": ["q4 q4", "f32 f32", "f16 f16", "q4 q4", "q4 q4"],
  "q4_1.gguf": ["q4m q4m", "f32 f32", "f16 f16", "q4m q4m", "q4m q4m"],
};

for (const [path, expected] of Object.entries(formats)) {
  Deno.test(`loadWeights() stores ${path} as asked, in the bytes that were planned`, async () => {
    const source = await denoSource(new URL(path, forms).pathname);
    const checkpoint = await openCheckpoint(source);
    const exact = await load(checkpoint, { weights: "f32" });
    const reference = await values(exact.layers[1]!.gateUpProj);
    const largest = maxError(reference, new Float64Array(reference.length));
    for (const [i, weights] of CHOICES.entries()) {
      const before = gpu.allocatedBytes;
      const loaded = await load(checkpoint, { weights });
      assertEquals(`${formatOf(loaded.embedTokens)} ${formatOf(loaded.layers[1]!.qkvProj)}`, expected[i]!);
      assertEquals(
        gpu.allocatedBytes - before,
        planWeights(configOf(checkpoint), checkpoint, weights, gpu.maxTensorBytes),
      );
      // An 11-bit mantissa, 8 bits of the largest, 4 bits of the largest with clipping.
      const allowed = { f32: 2 ** -23, bf16: 0, f16: 2 ** -11, q8: 1 / 250, q4: 1 / 5, q4m: 2 ** -23 };
      const stored = loaded.layers[1]!.gateUpProj;
      const bound = allowed[formatOf(stored) as keyof typeof allowed] * largest;
      assert(maxError(await values(stored), reference) <= bound, weights);
      disposeWeights(loaded);
    }
    disposeWeights(exact);
    source.close();
  });
}

Deno.test("loadWeights() refuses values that the chosen format cannot hold", async () => {
  const tensors = tensorsOf("F32");
  const { data } = tensors.get("model.layers.0.mlp.down_proj.weight")!;
  new DataView(data.buffer).setFloat32(400, 1e9, true);
  const checkpoint = await openCheckpoint(sourceOf(tensors));
  const before = gpu.allocatedBytes;
  for (const weights of ["f16", "q8", "q4"] as const) {
    const message = `tensor model.layers.0.mlp.down_proj.weight of model.safetensors as weights ${weights}`;
    await assertRejects(() => load(checkpoint, { weights }), FormatError, message);
    assertEquals(gpu.allocatedBytes, before);
  }
  disposeWeights(await load(checkpoint, { weights: "f32" }));
});

Deno.test("loadWeights() stops when it is aborted, with the signal's reason, and frees what it made", async () => {
  const checkpoint = await openCheckpoint(sourceOf(tensorsOf("F32")));
  const before = gpu.allocatedBytes;
  const reason = new Error("enough");
  const error = await assertRejects(() => load(checkpoint, { signal: AbortSignal.abort(reason) }), Error);
  assertEquals(error, reason);
  assertEquals(gpu.allocatedBytes, before);
});

Deno.test("loadWeights() passes on what goes wrong while it reads, and frees what it made", async () => {
  const checkpoint = await openCheckpoint(sourceOf(tensorsOf("F32")));
  const before = gpu.allocatedBytes;
  const failing = { ...checkpoint.source, read: () => Promise.reject(new Error("the disk is gone")) };
  await assertRejects(() => load({ ...checkpoint, source: failing }), Error, "the disk is gone");
  assertEquals(gpu.allocatedBytes, before);
});

Deno.test("loadWeights() holds the same memory on the host whatever the model's size", async () => {
  // An embedding and a head of 150 MB each, which come from no file.
  const config = parseConfig({ ...CONFIG, hidden_size: 768, head_dim: 16, vocab_size: 100000 });
  const tensors = new Map<string, TensorEntry>();
  let size = 0;
  const add = (slot: Slot) => {
    for (const { name, rows } of slot.tensors) {
      const begin = size;
      size += 2 * rows * Math.max(1, slot.columns);
      tensors.set(name, {
        ...{ file: "zeros", dtype: "F16", begin, end: size },
        shape: slot.columns === 0 ? [rows] : [rows, slot.columns],
      });
    }
  };
  mapSlots(layoutOf(config, false), add, add);
  const source: ModelSource = {
    ...blobSource(new Map()),
    read: (_, begin, end, into = new Uint8Array(end - begin)) => Promise.resolve(into.fill(0).subarray(0, end - begin)),
  };
  const used = () => {
    const { heapUsed, external } = Deno.memoryUsage();
    return heapUsed + external;
  };
  const before = used();
  let most = 0;
  const weights = await loadWeights(gpu, config, { ...await openCheckpoint(sourceOf(undefined)), tensors, source }, {
    weights: "q4",
    onProgress: () => most = Math.max(most, used()),
  });
  disposeWeights(weights);
  assert(size > 300e6);
  assert(most - before < 64e6, `${most - before} bytes more were in use on the host`);
});

for (
  const [dtype, name, weights] of [
    ["F32", "mlp.down_proj", "f32"],
    ["F16", "self_attn.k_proj", "auto"],
    ["BF16", "self_attn.v_proj", "auto"],
    ["F32", "input_layernorm", "q4"],
  ] as const
) {
  for (const value of [NaN, -Infinity]) {
    Deno.test(`loadWeights() names the tensor that holds ${value}: ${name} in ${dtype}`, async () => {
      const tensors = tensorsOf(dtype);
      const { data } = tensors.get(`model.layers.0.${name}.weight`)!;
      const view = new DataView(data.buffer);
      if (dtype === "F32") view.setFloat32(60, value, true);
      else view.setUint16(60, (Number.isNaN(value) ? 0x7fc0 : 0xfc00) | (dtype === "BF16" ? 0x7f80 : 0), true);
      const before = gpu.allocatedBytes;
      const checkpoint = await openCheckpoint(sourceOf(tensors));
      const message = `tensor model.layers.0.${name}.weight of model.safetensors: it holds NaN or infinity`;
      const error = await assertRejects(() => load(checkpoint, { weights }), FormatError, message);
      assertEquals([error.code, gpu.allocatedBytes], ["NotFinite", before]);
    });
  }
}
