/**
 * Measures attention and the rotation in front of it: GFLOP/s of a prefill chunk, GB/s of cached keys and values that
 * one decoded token reads, as shares of the adapter's own ceilings. Run alone, it prints JSON.
 *
 * @module
 */
import { Gpu } from "../src/gpu/device.ts";
import type { Recorder } from "../src/gpu/recorder.ts";
import type { Tensor } from "../src/gpu/tensor.ts";
import { attention, type AttentionHeads } from "../src/kernels/attention.ts";
import { attentionPartialsShape, decodeAttention } from "../src/kernels/attention_decode.ts";
import { KV_FORMATS, type KvFormat, kvTensorShape } from "../src/kernels/kv_formats.ts";
import { ropeKv } from "../src/kernels/rope_kv.ts";
import { type Ceilings, measure, measureCeilings, type Times } from "./ceilings.ts";
import type { KernelRow } from "./kernels.ts";

/** Heads of a model. */
export interface HeadsOfModel extends AttentionHeads {
  /** The model's name. */
  readonly name: string;
}

/** The models measured. */
export const MODELS: readonly HeadsOfModel[] = [
  { name: "SmolLM2-135M", nHeads: 9, nKvHeads: 3, headDim: 64 },
  { name: "Llama-2-7B", nHeads: 32, nKvHeads: 32, headDim: 128 },
];

/** Tokens that a decoded one sees; on a software adapter Llama-2-7B is measured at the first only. */
export const LENGTHS: readonly number[] = [4096, 16384, 65536];

/** Formats of the cache. */
export const FORMATS: readonly KvFormat[] = KV_FORMATS;

/** One layer's attention, ready to be recorded. */
export class Layer {
  readonly #gpu: Gpu;
  readonly #heads: AttentionHeads;
  readonly #format: KvFormat;
  readonly #position: number;
  readonly #nTokens: number;
  readonly #tensors: Record<"q" | "k" | "v" | "qkv" | "table" | "state" | "partials" | "softmax" | "out", Tensor>;

  /** Allocates and fills the cache, queries and outputs for `nTokens` tokens after `position` others. */
  constructor(gpu: Gpu, heads: AttentionHeads, format: KvFormat, position: number, nTokens: number) {
    const { nHeads, nKvHeads, headDim } = heads;
    const capacity = position + nTokens;
    const filled = (name: string, shape: readonly number[]) => {
      const length = shape.reduce((product, extent) => product * extent, 1);
      return gpu.tensorOf(
        name,
        "f32",
        shape,
        Float32Array.from({ length }, (_, i) => ((i * 2654435761) >>> 0) / 2 ** 31 - 1),
      );
    };
    const cache = (name: string) => {
      const tensor = gpu.createTensor(name, ...kvTensorShape(format, heads, capacity));
      // 0x3c003800 is the f16 pair 0.5, 1.0 and an f32 near 0.008.
      const words = new Uint32Array(2 ** 20).fill(0x3c003800);
      for (let at = 0; at < tensor.byteLength; at += words.byteLength) {
        gpu.upload(tensor, words.subarray(0, Math.min(words.byteLength, tensor.byteLength - at) / 4), at);
      }
      return tensor;
    };
    this.#gpu = gpu;
    this.#heads = heads;
    this.#format = format;
    this.#position = position;
    this.#nTokens = nTokens;
    this.#tensors = {
      q: filled("q", [nTokens, nHeads, headDim]),
      qkv: filled("qkv", [nTokens, nHeads + 2 * nKvHeads, headDim]),
      k: cache("k"),
      v: cache("v"),
      table: gpu.createTensor("table", "f32", [capacity, headDim / 2, 2]),
      state: gpu.tensorOf("state", "u32", [8], new Uint32Array([position, 0, 0, 0, 0, 0, 0, 0])),
      partials: gpu.createTensor("partials", "f32", attentionPartialsShape(heads, capacity)),
      softmax: gpu.createTensor("softmax", "f32", [nTokens, nHeads, 2]),
      out: gpu.createTensor("out", "f32", [nTokens, nHeads, headDim]),
    };
  }

  /** Bytes of keys and values that one token reads. */
  get kvBytes(): number {
    return this.#tensors.k.byteLength + this.#tensors.v.byteLength;
  }

  /** Operations of the chunk, a multiply-add counted as two. */
  get flops(): number {
    const pairs = this.#nTokens * this.#position + this.#nTokens * (this.#nTokens + 1) / 2;
    return 4 * this.#heads.nHeads * this.#heads.headDim * pairs;
  }

  /** A recording of attention `times` times, with the rotation for one token, added to another where there is one. */
  attention(times: number = 1, recorder: Recorder = this.#gpu.record()): Recorder {
    const { q, k, v, qkv, table, state, partials, softmax, out } = this.#tensors;
    const capacity = this.#position + this.#nTokens;
    const seen = {
      ...{ k, v, state, out, ...this.#heads, capacity, maxKvLength: capacity },
      ...{ scale: this.#heads.headDim ** -0.5, cacheFormat: this.#format },
    };
    for (let i = 0; i < times; i++) {
      if (this.#nTokens === 1) decodeAttention(recorder, { qkv, table, partials, ...seen });
      else attention(recorder, { q, softmax, nTokens: this.#nTokens, ...seen });
    }
    return recorder;
  }

  /** A recording of the rotation. */
  rotation(): Recorder {
    const recorder = this.#gpu.record();
    const { qkv, table, state, q, k, v } = this.#tensors;
    const capacity = this.#position + this.#nTokens;
    ropeKv(recorder, {
      ...{ qkv, table, state, q, k, v, ...this.#heads, nTokens: this.#nTokens, capacity, cacheFormat: this.#format },
    });
    return recorder;
  }

  /** Frees the tensors. */
  [Symbol.dispose](): void {
    for (const tensor of Object.values(this.#tensors)) tensor.dispose();
  }
}

/** Measures prefill, decode and rotation of models. Needs timestamps. */
export async function measureAttention(
  gpu: Gpu,
  ceilings: Ceilings,
  models: readonly HeadsOfModel[] = MODELS,
): Promise<KernelRow[]> {
  const rows: KernelRow[] = [];
  for (const model of models) {
    for (const format of FORMATS) {
      for (const position of [0, 3584]) rows.push(await measurePrefill(gpu, ceilings, model, format, position));
      for (const length of LENGTHS) {
        const bytes = length * model.nKvHeads * model.headDim * 4;
        if (bytes > Math.min(gpu.maxTensorBytes, gpu.isSoftware ? 2 ** 26 : Infinity)) continue;
        rows.push(await measureDecode(gpu, ceilings, model, format, length));
      }
    }
    for (const format of ["f16", "q8", "q4"] as const) rows.push(await measureRotation(gpu, ceilings, model, format));
  }
  return rows;
}

/** Times of all dispatches of one layer together: the parts of a long chunk, or a token's splits and their merge. */
async function measureWhole(gpu: Gpu, recorder: Recorder): Promise<Times> {
  const { ms, bestMs } = await measure(gpu, recorder);
  const n = recorder.steps.length;
  return { ms: n * ms, bestMs: n * bestMs };
}

async function measurePrefill(
  gpu: Gpu,
  ceilings: Ceilings,
  model: HeadsOfModel,
  format: KvFormat,
  position: number,
): Promise<KernelRow> {
  const nTokens = gpu.isSoftware && model.nHeads > 16 ? 128 : 512;
  using layer = new Layer(gpu, model, format, position, nTokens);
  const recorder = layer.attention();
  const times = await measureWhole(gpu, recorder);
  const gflopPerS = layer.flops / times.bestMs / 1e6;
  return {
    kernel: labelOf(recorder),
    shape: `${model.name}: ${nTokens} tokens after ${position}`,
    ...times,
    flops: layer.flops,
    bytes: layer.kvBytes + 8 * nTokens * model.nHeads * model.headDim,
    gflopPerS,
    shareOfCeiling: gflopPerS / ceilings.fmaGflopPerS,
  };
}

async function measureDecode(
  gpu: Gpu,
  ceilings: Ceilings,
  model: HeadsOfModel,
  format: KvFormat,
  length: number,
): Promise<KernelRow> {
  using layer = new Layer(gpu, model, format, length - 1, 1);
  const recorder = layer.attention();
  const times = await measureWhole(gpu, recorder);
  const gbPerS = layer.kvBytes / times.bestMs / 1e6;
  return {
    kernel: `${labelOf(recorder)} and attention_merge`,
    shape: `${model.name}: 1 token sees ${length}`,
    ...times,
    flops: layer.flops,
    bytes: layer.kvBytes,
    gbPerS,
    shareOfCeiling: gbPerS / ceilings.copyGbPerS,
  };
}

async function measureRotation(
  gpu: Gpu,
  ceilings: Ceilings,
  model: HeadsOfModel,
  format: KvFormat,
): Promise<KernelRow> {
  const nTokens = 512;
  using layer = new Layer(gpu, model, format, 0, nTokens);
  const recorder = layer.rotation();
  const times = await measure(gpu, recorder);
  const { nHeads, nKvHeads, headDim } = model;
  // Each element is read once as f32; queries are written as f32, keys and values as the cache stores them.
  const bytes = nTokens * headDim * (4 * (nHeads + 2 * nKvHeads) + 4 * nHeads) + layer.kvBytes;
  const gbPerS = bytes / times.bestMs / 1e6;
  return {
    kernel: labelOf(recorder),
    shape: `${model.name}: ${nTokens} tokens`,
    ...times,
    gbPerS,
    shareOfCeiling: gbPerS / ceilings.copyGbPerS,
  };
}

function labelOf(recorder: Recorder): string {
  const step = recorder.steps[0]!;
  return "kernel" in step ? step.kernel.name : "copy";
}

if (import.meta.main) {
  using gpu = await Gpu.request();
  const ceilings = await measureCeilings(gpu);
  console.log(JSON.stringify({ adapter: gpu.name, ceilings, kernels: await measureAttention(gpu, ceilings) }, null, 2));
}
