/**
 * Known answers for attention with what comes before it: the norm of heads, the rotation, and the cache.
 *
 * @module
 */
import type { Gpu } from "../gpu/device.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { attention } from "../kernels/attention.ts";
import { decodeAttention } from "../kernels/attention_decode.ts";
import { headNorm } from "../kernels/head_norm.ts";
import type { KvFormat } from "../kernels/kv_formats.ts";
import { ropeKv } from "../kernels/rope_kv.ts";
import type { ModelConfig } from "./config.ts";
import { attend, normalised, rotate } from "./host_answers.ts";
import { KvCache, type KvLayer } from "./kv_cache.ts";
import type { Runtime } from "./runtime.ts";
import type { Scratch } from "./scratch.ts";
import { type Check, kernelsOf, type Read, type Snapshots, wrongKernel } from "./snapshots.ts";
import { MANY_KEYS } from "./warm_up.ts";

/** Tokens: a chunk of all but one, and one that sees them. */
const TOKENS = 4;

/** Keys that a token sees where there is a window: fewer than there are tokens, in the chunk already. */
const WINDOW = 2;

/** How far an output may be off, of values up to 1: what storage rounds. On average over a head it is a third of this. */
const ALLOWED: Readonly<Record<KvFormat, number>> = { f32: 1e-4, f16: 2e-3, q8: 0.03, q4: 0.4 };

/** What layers differ by. */
export interface AttentionLayer {
  /** Gains of each query head and of each key head: (2, headDim). */
  readonly headNorm: Tensor | undefined;
  /** Whether queries and keys are rotated. */
  readonly isRotated: boolean;
  /** Keys that a token sees, its own included. */
  readonly window: number | undefined;
}

/** Results of one way to attend. */
interface Attended {
  readonly kernels: readonly string[];
  readonly firstToken: number;
  readonly nTokens: number;
  /** Where its outputs are kept: (nTokens, nHeads, headDim). */
  readonly out: number;
}

/** Where results are kept. */
interface Recording {
  /** Queries, keys and values after the norm of heads, if there is one: (1, nHeads + 2 nKvHeads, headDim); else -1. */
  readonly normed: number;
  /** Gains of that norm: (2, headDim). */
  readonly gains: number;
  /** Cosines and sines: (TOKENS, turnWidth). */
  readonly turns: number;
  readonly turnWidth: number;
  readonly rotating: readonly string[];
  /** Rotated queries: (TOKENS - 1, nHeads, headDim). */
  readonly rotated: number;
  readonly attended: readonly Attended[];
}

/** What attention of a few tokens needs besides activations. */
export class AttentionRoom {
  /** Keys and values of one layer. */
  readonly cache: KvCache;
  /** Cosines and sines. */
  readonly table: Tensor;
  /** State of the first token, and of the last. */
  readonly states: { readonly begin: Tensor; readonly last: Tensor };

  private constructor(cache: KvCache, table: Tensor, states: AttentionRoom["states"]) {
    this.cache = cache;
    this.table = table;
    this.states = states;
  }

  /** Makes room; none where the context has none. */
  static async of(runtime: Runtime, scratch: Scratch): Promise<AttentionRoom | undefined> {
    const { gpu, config, contextLength, kvFormat } = runtime;
    if (Math.min(contextLength, scratch.q.shape[0]!) < TOKENS) return undefined;
    const cache = new KvCache(gpu, { ...config, nLayers: 1, slidingLayers: [] }, kvFormat, contextLength, TOKENS);
    try {
      await cache.reserve(TOKENS);
      const table = await runtime.ropeTable(cache.capacity, TOKENS);
      const states = await gpu.allocate(() => ({
        begin: gpu.createTensor("state of the check", "u32", [8]),
        last: gpu.tensorOf("last state of the check", "u32", [8], Uint32Array.of(TOKENS - 1, 0, 0, 0, 0, 0, 0, 0)),
      }));
      return new AttentionRoom(cache, table, states);
    } catch (error) {
      cache.dispose();
      throw error;
    }
  }

  /** Frees the memory. */
  [Symbol.dispose](): void {
    this.cache.dispose();
    this.states.begin.dispose();
    this.states.last.dispose();
  }
}

/** A check of the kernels between the projection and attention's output; it names two of which one may be wrong. */
export function attentionCheck(runtime: Runtime, scratch: Scratch, layer: AttentionLayer, room: AttentionRoom): Check {
  const { gpu, config, contextLength, kvFormat: format } = runtime;
  const { nHeads, nKvHeads, headDim } = config;
  const width = (nHeads + 2 * nKvHeads) * headDim;
  const limit = Math.min(contextLength, MANY_KEYS);
  return {
    nRandom: TOKENS * width,
    nKept: (2 * TOKENS + 2) * width + (TOKENS + 2) * headDim,
    record: (recorder, snapshots) => {
      const { cache, table, states } = room;
      const recording = recordAttention(recorder, snapshots, config, scratch, layer, cache.layers[0]!, {
        ...{ table, states, limit, format },
      });
      return (read) => {
        if (layer.headNorm !== undefined) compareNorm(gpu, config, recording, snapshots, read);
        compareAttention(gpu, config, recording, layer, snapshots, read, format);
      };
    },
  };
}

function recordAttention(
  recorder: Recorder,
  snapshots: Snapshots,
  { nHeads, nKvHeads, headDim, headNormEps }: ModelConfig,
  { qkv, q, attended: out, partials, softmax }: Scratch,
  { headNorm: weight, isRotated, window }: AttentionLayer,
  { k, v, capacity }: KvLayer,
  { table, states, limit, format: cacheFormat }: {
    readonly table: Tensor;
    readonly states: AttentionRoom["states"];
    /** Most keys that the last token is told of. */
    readonly limit: number;
    readonly format: KvFormat;
  },
): Recording {
  const heads = { nHeads, nKvHeads, headDim };
  const width = (nHeads + 2 * nKvHeads) * headDim;
  const rowWidth = nHeads * headDim;
  const nChunk = TOKENS - 1;
  const turnWidth = 2 * table.shape[1]!;
  const cached = { k, v, capacity, cacheFormat, ...heads };
  const rotation = { qkv, table, rotaryDim: isRotated ? turnWidth : 0 };
  const seen = { out, scale: headDim ** -0.5, window: shortened(window) };
  let [normed, gains] = [-1, -1];
  if (weight !== undefined) {
    snapshots.randomize(recorder, qkv, width);
    headNorm(recorder, { qkv, weight, nTokens: 1, ...heads, eps: headNormEps! });
    normed = snapshots.keep(recorder, qkv, width);
    gains = snapshots.keep(recorder, weight, 2 * headDim);
  }
  // Without the gains of the norm, which may make scores so large that what the cache rounds decides between keys.
  snapshots.randomize(recorder, qkv, TOKENS * width);
  const rotating = kernelsOf(recorder, () => {
    ropeKv(recorder, { q, state: states.begin, nTokens: nChunk, ...rotation, ...cached });
  });
  const rotated = snapshots.keep(recorder, q, nChunk * rowWidth);
  const prefilling = kernelsOf(recorder, () => {
    attention(recorder, { q, softmax, state: states.begin, nTokens: nChunk, maxKvLength: nChunk, ...seen, ...cached });
  });
  const prefilled = snapshots.keep(recorder, out, nChunk * rowWidth);
  const attended: Attended[] = [
    { kernels: [...prefilling, ...rotating], firstToken: 0, nTokens: nChunk, out: prefilled },
  ];
  // One split, and, where the context is long enough, several that are merged.
  for (const maxKvLength of new Set([TOKENS, limit])) {
    const step = { partials, state: states.last, row: nChunk, maxKvLength };
    const kernels = kernelsOf(recorder, () => decodeAttention(recorder, { ...step, ...rotation, ...seen, ...cached }));
    const decoded = snapshots.keep(recorder, out, rowWidth, nChunk * rowWidth);
    attended.push({ kernels, firstToken: nChunk, nTokens: 1, out: decoded });
  }
  const turns = snapshots.keep(recorder, table, TOKENS * turnWidth);
  return { normed, gains, turns, turnWidth: rotation.rotaryDim && turnWidth, rotating, rotated, attended };
}

/** A window that ends within the check's tokens. */
function shortened(window: number | undefined): number | undefined {
  return window === undefined ? undefined : Math.min(window, WINDOW);
}

/** Checks the norm of heads by itself. */
function compareNorm(
  gpu: Gpu,
  { nHeads, nKvHeads, headDim, headNormEps }: ModelConfig,
  { normed, gains }: Recording,
  snapshots: Snapshots,
  read: Read,
): void {
  for (let head = 0; head < nHeads + nKvHeads; head++) {
    const gain = read(gains + (head < nHeads ? 0 : headDim), headDim);
    const expected = normalised(snapshots.random(head * headDim, headDim), gain, headNormEps!);
    const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    demand(gpu, read(normed + head * headDim, headDim), expected, 1e-4 * largest, ["head_norm"]);
  }
}

function compareAttention(
  gpu: Gpu,
  { nHeads, nKvHeads, headDim }: ModelConfig,
  { turns, turnWidth, rotating, rotated, attended }: Recording,
  { window }: AttentionLayer,
  snapshots: Snapshots,
  read: Read,
  format: KvFormat,
): void {
  const nRows = nHeads + 2 * nKvHeads;
  const nSeen = shortened(window) ?? TOKENS;
  const vectors = Array.from({ length: TOKENS }, (_, token) =>
    Array.from({ length: nRows }, (_, head) => {
      const vector = snapshots.random((token * nRows + head) * headDim, headDim);
      const isTurned = head < nHeads + nKvHeads && turnWidth > 0;
      return isTurned ? rotate(vector, read(turns + token * turnWidth, turnWidth)) : Float64Array.from(vector);
    }));
  // A cache of 4 bits has its queries rotated once more.
  for (let i = 0; format !== "q4" && i < (TOKENS - 1) * nHeads; i++) {
    const query = vectors[Math.floor(i / nHeads)]![i % nHeads]!;
    demand(gpu, read(rotated + i * headDim, headDim), query, 1e-3, rotating);
  }
  for (const { kernels, firstToken, nTokens, out } of attended) {
    for (let i = 0; i < nTokens * nHeads; i++) {
      const token = firstToken + Math.floor(i / nHeads);
      const head = i % nHeads;
      const keyHead = nHeads + Math.floor(head / (nHeads / nKvHeads));
      const seen = vectors.slice(Math.max(0, token + 1 - nSeen), token + 1);
      const expected = attend(
        vectors[token]![head]!,
        seen.map((each) => each[keyHead]!),
        seen.map((each) => each[keyHead + nKvHeads]!),
        headDim ** -0.5,
      );
      demand(gpu, read(out + i * headDim, headDim), expected, ALLOWED[format], kernels);
    }
  }
}

/** Refuses a head of which one element is off by more than `allowed`, or all by more than a third of it on average. */
function demand(
  gpu: Gpu,
  actual: Float32Array,
  expected: ArrayLike<number>,
  allowed: number,
  kernels: readonly string[],
): void {
  let square = 0;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i]! - expected[i]!);
    square += error * error;
    if (!(error <= allowed)) throw wrongKernel(gpu.name, kernels);
  }
  if (!(Math.sqrt(square / expected.length) <= allowed / 3)) throw wrongKernel(gpu.name, kernels);
}
