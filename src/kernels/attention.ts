/**
 * Causal attention of a chunk of tokens over the KV cache (FlashAttention-2).
 *
 * @module
 */
import { defineKernel, type Kernel } from "../gpu/kernel.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import * as wgsl from "../../wgsl/mod.ts";
import { hadamard } from "./hadamard.ts";
import { kvFamily, type KvFormat, scalePairs } from "./kv_formats.ts";
import { hasSubgroups } from "./matvec.ts";

type Inputs = "q" | "k" | "v" | "state";
type PrefillParams =
  | "n_tokens"
  | "capacity"
  | "scale"
  | "first_block"
  | "n_blocks"
  | "kv_len"
  | "window"
  | "token_begin";
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

/** For software adapters with subgroups, or for GPUs. */
export type Variant = "direct" | "shared";
type PrefillKernel = Kernel<
  Inputs | "out",
  PrefillParams,
  ShapeNames | "ROWS" | "SIDE" | "SLICE" | "PARTS" | "SCALE_PAIRS"
>;

function prefillFamily(variant: Variant, text: string): Readonly<Record<KvFormat, PrefillKernel>> {
  const direct = variant === "direct";
  return kvFamily((format, source) =>
    defineKernel({
      name: `attention_prefill_${variant}.${format}`,
      source: [source, wgsl.shared_online_softmax, text],
      constants: [...SHAPE_NAMES, ...(direct ? ["ROWS", "SCALE_PAIRS"] as const : ["SIDE", "SLICE", "PARTS"] as const)],
      bindings: { ...INPUTS, out: "read_write" },
      params: {
        ...{ n_tokens: "u32", capacity: "u32", scale: "f32", first_block: "u32", n_blocks: "u32" },
        ...{ kv_len: "u32", window: "u32", token_begin: "u32" },
      },
      subgroups: direct,
      workgroups: ({ n_blocks }, { GROUP_SIZE, N_HEADS }) => [n_blocks, N_HEADS / GROUP_SIZE],
      cost: ({ n_blocks, kv_len }, { ROWS, SIDE, GROUP_SIZE, N_HEADS, HEAD_DIM4 }) =>
        n_blocks * (direct ? 8 * ROWS : 4 * SIDE) * (N_HEADS / GROUP_SIZE) * pairCost(HEAD_DIM4) * kv_len,
    })
  );
}

/** Multiply-adds for one query and one key: a product of headDim for the score and another for the output. */
export function pairCost(headDim4: number): number {
  return 8 * headDim4;
}

const prefill = {
  direct: prefillFamily("direct", wgsl.attention_prefill_direct),
  shared: prefillFamily("shared", wgsl.attention_prefill_shared),
};
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
  const { q, k, v, state, out, nTokens, maxKvLength, capacity, cacheFormat, nHeads, nKvHeads, headDim } = operands;
  const { firstRow = 0 } = operands;
  const variant = variantOf(recorder);
  const adapter = recorder.traits.isSoftware ? "software" : "gpu";
  const SIDE = SIDES[adapter];
  const groupSize = nHeads / nKvHeads;
  // A second row halves the loads, and trebles the time that a software adapter takes to compile the kernel.
  const ROWS = headDim <= 128 ? 2 : 1;
  const blockRows = variant === "direct" ? 8 * ROWS : 4 * SIDE;
  const nBlocks = Math.ceil(nTokens * groupSize / blockRows);
  const window = operands.window ?? NO_WINDOW;
  const blockCost = blockRows * nKvHeads * pairCost(headDim / 4) * Math.min(maxKvLength, window + nTokens);
  const most = Math.max(1, Math.floor(DISPATCH_COST[adapter] / blockCost));
  for (let first_block = 0; first_block < nBlocks; first_block += most) {
    const n_blocks = Math.min(most, nBlocks - first_block);
    const nSeen = Math.min(nTokens, Math.ceil((first_block + n_blocks) * blockRows / groupSize));
    const params = { n_tokens: nTokens, capacity, scale: operands.scale * Math.LOG2E, first_block, n_blocks };
    recorder.dispatch(
      prefill[variant][cacheFormat],
      { q, k, v, state, out },
      { ...params, kv_len: Math.min(maxKvLength - nTokens, window) + nSeen, window, token_begin: firstRow },
      {
        ...{ ...shapeConstants(operands), ROWS, SCALE_PAIRS: scalePairs(headDim) },
        ...{ SIDE, SLICE: SIDE / 2, PARTS: Math.ceil(headDim / 4 / SIDE) },
      },
    );
  }
  if (cacheFormat === "q4") hadamard(recorder, { ...operands, x: out });
}
