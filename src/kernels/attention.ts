/**
 * Causal attention of a chunk of tokens over the KV cache (FlashAttention-2).
 *
 * @module
 */
import { defineKernel, type Grid } from "../gpu/kernel.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import * as wgsl from "../../wgsl/mod.ts";
import { hadamard } from "./hadamard.ts";
import { kvFamily, type KvFormat, kvRowBytes, scalePairs } from "./kv_formats.ts";
import { hasSubgroups } from "./matvec.ts";

type Inputs = "q" | "k" | "v" | "state";
const PARAMS = {
  n_tokens: "u32",
  capacity: "u32",
  scale: "f32",
  first_block: "u32",
  n_blocks: "u32",
  kv_len: "u32",
  window: "u32",
  token_begin: "u32",
} as const;
type Param = keyof typeof PARAMS;
/** Constants of an attention's heads. */
export type ShapeNames = "GROUP_SIZE" | "N_HEADS" | "HEAD_DIM4";

const INPUTS = { q: "read", k: "read", v: "read", state: "read" } as const;
/** Names of an attention's heads in the prelude. */
export const SHAPE_NAMES: readonly ShapeNames[] = ["GROUP_SIZE", "N_HEADS", "HEAD_DIM4"];

/** Stands for no window: more keys than a cache holds, with room for sums. */
export const NO_WINDOW = 2 ** 30;

/** Rows that the capacity of a ring is a multiple of: the largest tile of keys, so that no tile crosses the ring's end. */
export const RING_TILE = 64;

/** SIDE of the shared variant, whose workgroups have SIDE x SIDE invocations and take 4 SIDE query rows. */
const SIDES = { gpu: 16, software: 8 } as const;

/**
 * Multiply-adds that one dispatch of prefill may take: some 50 ms. The rest of a chunk goes to further dispatches, so
 * that a submit of a long context ends soon.
 */
const DISPATCH_COST = { software: 5e8, gpu: 2e11 } as const;

/** Bytes of keys and values that prefill takes its blocks through at a time: half of a small processor cache. */
const SLAB_BYTES = 2 ** 19;

/** For software adapters with subgroups, or for GPUs. */
export type Variant = "direct" | "shared";

const direct = kvFamily((format, source) =>
  defineKernel({
    name: `attention_prefill_direct.${format}`,
    source: [source, wgsl.shared_online_softmax, wgsl.attention_prefill_direct],
    constants: [...SHAPE_NAMES, "ROWS", "SCALE_PAIRS"],
    bindings: { ...INPUTS, out: "read_write", softmax: "read_write" },
    params: { ...PARAMS, slab_begin: "u32", slab: "u32", is_last: "u32" },
    subgroups: true,
    workgroups: gridOf,
    cost: (params, constants) => costOf(params, constants, 8 * constants.ROWS),
  })
);

const shared = kvFamily((format, source) =>
  defineKernel({
    name: `attention_prefill_shared.${format}`,
    source: [source, wgsl.shared_online_softmax, wgsl.attention_prefill_shared],
    constants: [...SHAPE_NAMES, "SIDE", "SLICE", "PARTS"],
    bindings: { ...INPUTS, out: "read_write" },
    params: PARAMS,
    workgroups: gridOf,
    cost: (params, constants) => costOf(params, constants, 4 * constants.SIDE),
  })
);

type Numbers<Name extends string> = Readonly<Record<Name, number>>;

function gridOf({ n_blocks }: Numbers<Param>, { GROUP_SIZE, N_HEADS }: Numbers<ShapeNames>): Grid {
  return [n_blocks, N_HEADS / GROUP_SIZE];
}

function costOf({ n_blocks, kv_len }: Numbers<Param>, shape: Numbers<ShapeNames>, blockRows: number): number {
  return n_blocks * blockRows * (shape.N_HEADS / shape.GROUP_SIZE) * pairCost(shape.HEAD_DIM4) * kv_len;
}

/** Multiply-adds for one query and one key: a product of headDim for the score and another for the output. */
export function pairCost(headDim4: number): number {
  return 8 * headDim4;
}

/** The heads of a model's attention. */
export interface AttentionHeads {
  /** Query heads, a multiple of `nKvHeads`. */
  readonly nHeads: number;
  /** Key and value heads; query head h uses head floor(h / (nHeads / nKvHeads)). */
  readonly nKvHeads: number;
  /** Elements of a head, a multiple of 4 up to 256. */
  readonly headDim: number;
}

/** Operands of `attention`. */
export interface Attention extends AttentionHeads {
  /** Rotated queries as `ropeKv` writes them: (at least firstRow + nTokens, nHeads, headDim) f32. */
  readonly q: Tensor;
  /** Cached keys, those of the chunk included, as `kvTensorShape` has them. */
  readonly k: Tensor;
  /** Cached values, those of the chunk included, as `kvTensorShape` has them. */
  readonly v: Tensor;
  /** Sequence state: (8) u32; `state[0]` is the position of the first token. */
  readonly state: Tensor;
  /** Output: (at least firstRow + nTokens, nHeads, headDim) f32. */
  readonly out: Tensor;
  /** Scratch: (at least firstRow + nTokens, nHeads, 2) f32, a row's highest score and sum so far. */
  readonly softmax: Tensor;
  /** Number of tokens in the chunk. */
  readonly nTokens: number;
  /** Row of the first token in `q` and `out`. Default 0. */
  readonly firstRow?: number;
  /** The host's bound on `state[0] + nTokens`. A larger bound costs a little time and changes no result. */
  readonly maxKvLength: number;
  /**
   * Rows of the cache for each head: position p is in row p mod capacity. What the chunk sees must be there: all tokens
   * where there is no window, and with one a multiple of `RING_TILE` rows, at least window + nTokens, unless all fit.
   */
  readonly capacity: number;
  /** Factor on the scores, usually 1 / sqrt(headDim). */
  readonly scale: number;
  /** Storage format of `k` and `v`. */
  readonly cacheFormat: KvFormat;
  /** Keys that a token sees, its own included. Default: all before it. */
  readonly window?: number | undefined;
}

/** The variant for an adapter. */
export function variantOf({ traits }: Pick<Recorder, "traits">): Variant {
  return traits.isSoftware && hasSubgroups(traits) ? "direct" : "shared";
}

/** Values of `SHAPE_NAMES`. */
export function shapeConstants({ nHeads, nKvHeads, headDim }: AttentionHeads): Record<ShapeNames, number> {
  return { GROUP_SIZE: nHeads / nKvHeads, N_HEADS: nHeads, HEAD_DIM4: headDim / 4 };
}

/** Records attention of a chunk: row t sees keys up to state[0] + t, the last `window` of them. */
export function attention(recorder: Recorder, operands: Attention): void {
  if (variantOf(recorder) === "direct") attendBySlabs(recorder, operands);
  else attendAtOnce(recorder, operands);
  if (operands.cacheFormat === "q4") hadamard(recorder, { ...operands, x: operands.out });
}

function attendBySlabs(recorder: Recorder, operands: Attention): void {
  const { q, k, v, state, out, softmax, cacheFormat, headDim } = operands;
  const buffers = { q, k, v, state, out, softmax };
  // A second row halves the loads, and trebles the time that a software adapter takes to compile the kernel.
  const ROWS = headDim <= 128 ? 2 : 1;
  const constants = { ...shapeConstants(operands), ROWS, SCALE_PAIRS: scalePairs(headDim) };
  const slab = 8 * Math.floor(SLAB_BYTES / (16 * kvRowBytes(cacheFormat, headDim)[0]!));
  const blocks = blocksOf(operands, 8 * ROWS, DISPATCH_COST.software, slab);
  const most = Math.max(...blocks.map(({ kv_len }) => kv_len));
  for (let slab_begin = 0; slab_begin < most; slab_begin += slab) {
    for (const params of blocks.filter(({ kv_len }) => slab_begin < kv_len)) {
      const left = params.kv_len - slab_begin;
      const ofSlab = { slab_begin, slab, is_last: left <= slab ? 1 : 0, kv_len: Math.min(slab, left) };
      recorder.dispatch(direct[cacheFormat], buffers, { ...params, ...ofSlab }, constants);
    }
  }
}

function attendAtOnce(recorder: Recorder, operands: Attention): void {
  const { q, k, v, state, out, cacheFormat, headDim } = operands;
  const adapter = recorder.traits.isSoftware ? "software" : "gpu";
  const SIDE = SIDES[adapter];
  const constants = { ...shapeConstants(operands), SIDE, SLICE: SIDE / 2, PARTS: Math.ceil(headDim / 4 / SIDE) };
  for (const params of blocksOf(operands, 4 * SIDE, DISPATCH_COST[adapter])) {
    recorder.dispatch(shared[cacheFormat], { q, k, v, state, out }, params, constants);
  }
}

/**
 * Params of the dispatches that a chunk takes for all keys or for a slab of them, each of as many blocks of `blockRows`
 * rows as cost no more. Their `kv_len` bounds the keys from the begin of the first slab on.
 */
function blocksOf(operands: Attention, blockRows: number, cost: number, slab?: number): Record<Param, number>[] {
  const { nHeads, nKvHeads, headDim, nTokens, maxKvLength, capacity, firstRow: token_begin = 0 } = operands;
  const { scale, window = NO_WINDOW } = operands;
  const groupSize = nHeads / nKvHeads;
  const nBlocks = Math.ceil(nTokens * groupSize / blockRows);
  const before = Math.min(maxKvLength - nTokens, window + (slab ?? 0));
  const keys = Math.min(before + nTokens, slab ?? Infinity);
  const most = Math.max(1, Math.floor(cost / (blockRows * nKvHeads * pairCost(headDim / 4) * keys)));
  const chunk = { n_tokens: nTokens, capacity, scale: scale * Math.LOG2E, window, token_begin };
  return Array.from({ length: Math.ceil(nBlocks / most) }, (_, i) => {
    const n_blocks = Math.min(most, nBlocks - i * most);
    const nTokensSeen = Math.min(nTokens, Math.ceil((i * most + n_blocks) * blockRows / groupSize));
    return { ...chunk, first_block: i * most, n_blocks, kv_len: before + nTokensSeen };
  });
}
