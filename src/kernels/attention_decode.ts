/**
 * Attention of one token over the KV cache, split over its keys (Flash-Decoding), with all that stands between the
 * projection and it: the rotation of queries and keys, and the write of the token's key and value.
 *
 * @module
 */
import { defineKernel, type Kernel } from "../gpu/kernel.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import * as wgsl from "../../wgsl/mod.ts";
import {
  type AttentionHeads,
  NO_WINDOW,
  pairCost,
  SHAPE_NAMES,
  shapeConstants,
  type ShapeNames,
  type Variant,
  variantOf,
} from "./attention.ts";
import { hadamardStages } from "./hadamard.ts";
import { kvFamily, type KvFormat, kvStore, scalePairs } from "./kv_formats.ts";

type Bindings = "qkv" | "k" | "v" | "table" | "state" | "partials";
type Params = "n_splits" | "capacity" | "scale" | "window" | "row";
type HadamardNames = "HAS_HADAMARD" | "STAGES";
type Names =
  | ShapeNames
  | HadamardNames
  | "ROTARY_DIM4"
  | "WHOLE"
  | "SPLIT"
  | "HEADS"
  | "PARTS"
  | "SCALE_PAIRS"
  | "LANE_STAGES"
  | "SLOTS"
  | "KEYS"
  | "STRIPS"
  | "LANES";
type DecodeKernel = Kernel<Bindings, Params, Names>;

/**
 * Keys of one split: a constant, so that a split's result never depends on how many there are. What splits write is read
 * again by the merge, less of it where they are larger; where they are smaller, more of them share a GPU, or the cores.
 */
const SPLIT = 256;

const NAMES: readonly Names[] = [...SHAPE_NAMES, "HAS_HADAMARD", "STAGES", "ROTARY_DIM4", "SPLIT", "HEADS", "PARTS"];

function decodeFamily(variant: Variant, text: string): Readonly<Record<KvFormat, DecodeKernel>> {
  const direct = variant === "direct";
  const exchange = direct ? wgsl.shared_exchange_subgroup : wgsl.shared_exchange_memory;
  return kvFamily((format, read) =>
    defineKernel({
      name: `attention_decode_${variant}.${format}`,
      source: [
        ...[exchange, wgsl.shared_hadamard, wgsl.shared_rope, wgsl.shared_online_softmax],
        ...[read, ...kvStore(format), text],
      ],
      constants: [
        ...NAMES,
        ...(direct ? ["WHOLE", "SCALE_PAIRS", "LANE_STAGES"] as const : ["SLOTS", "KEYS", "STRIPS", "LANES"] as const),
      ],
      bindings: { qkv: "read", k: "read_write", v: "read_write", table: "read", state: "read", partials: "read_write" },
      params: { n_splits: "u32", capacity: "u32", scale: "f32", window: "u32", row: "u32" },
      subgroups: direct,
      workgroups: ({ n_splits }, { HEADS, N_HEADS }) => [N_HEADS / HEADS, n_splits],
      cost: ({ n_splits }, { SPLIT, N_HEADS, HEAD_DIM4 }) => n_splits * SPLIT * N_HEADS * pairCost(HEAD_DIM4),
    })
  );
}

const decode = {
  direct: decodeFamily("direct", wgsl.attention_decode_direct),
  shared: decodeFamily("shared", wgsl.attention_decode_shared),
};

const merge: Kernel<
  "partials" | "state" | "out",
  "n_splits" | "window" | "out_row",
  HadamardNames | "WORKGROUP" | "STRIPS" | "SPLIT" | "N_HEADS" | "HEAD_DIM4" | "LANES"
> = defineKernel({
  name: "attention_merge",
  source: [wgsl.shared_online_softmax, wgsl.shared_exchange_memory, wgsl.shared_hadamard, wgsl.attention_merge],
  constants: ["WORKGROUP", "STRIPS", "SPLIT", "N_HEADS", "HEAD_DIM4", "HAS_HADAMARD", "STAGES", "LANES"],
  bindings: { partials: "read", state: "read", out: "read_write" },
  params: { n_splits: "u32", window: "u32", out_row: "u32" },
  workgroups: (_, { N_HEADS }) => [N_HEADS],
  cost: ({ n_splits }, { N_HEADS, HEAD_DIM4 }) => 8 * n_splits * N_HEADS * HEAD_DIM4,
});

/** Operands of `decodeAttention`. */
export interface DecodeAttention extends AttentionHeads {
  /** Projected queries, keys and values: (at least row + 1, nHeads + 2 nKvHeads, headDim) f32. */
  readonly qkv: Tensor;
  /** Cosines and sines by position: (nPositions, rotaryDim / 2, 2) f32, with a row for the token's position. */
  readonly table: Tensor;
  /** Cached keys of the tokens before, as `kvTensorShape` has them. The token's row is written. */
  readonly k: Tensor;
  /** Cached values of the tokens before, as `kvTensorShape` has them. The token's row is written. */
  readonly v: Tensor;
  /** Sequence state: (8) u32; `state[0]` is the position of the token. */
  readonly state: Tensor;
  /** Scratch of at least `attentionPartialsShape(heads, maxKvLength)` f32. */
  readonly partials: Tensor;
  /** Output: (at least row + 1, nHeads, headDim) f32. */
  readonly out: Tensor;
  /** Row of the token in `qkv` and `out`. Default 0. */
  readonly row?: number;
  /** The host's bound on `state[0] + 1`. A larger bound costs a little time and changes no result. */
  readonly maxKvLength: number;
  /**
   * Rows of the cache for each head: position p is in row p mod capacity. What the token sees must be there: all tokens
   * where there is no window, and with one a multiple of `RING_TILE` rows, at least window + 1, unless all fit.
   */
  readonly capacity: number;
  /** Factor on the scores, usually 1 / sqrt(headDim). */
  readonly scale: number;
  /** Storage format of `k` and `v`. */
  readonly cacheFormat: KvFormat;
  /** Elements of a head that are rotated, a multiple of 4; the rest passes through. Default headDim. */
  readonly rotaryDim?: number;
  /** Keys that the token sees, its own included. Default: all before it. */
  readonly window?: number | undefined;
}

/** Shape of the scratch that a token needs which sees up to `maxKvLength` keys: (nSplits, nHeads, headDim + 4) f32. */
export function attentionPartialsShape(
  { nHeads, headDim }: AttentionHeads,
  maxKvLength: number,
): [nSplits: number, nHeads: number, width: number] {
  return [Math.ceil(maxKvLength / SPLIT), nHeads, headDim + 4];
}

/**
 * Records the attention of one token: its queries see the last `window` keys up to its own. What is written into the
 * cache is to the bit what `ropeKv` writes.
 */
export function decodeAttention(recorder: Recorder, operands: DecodeAttention): void {
  const { qkv, table, k, v, state, partials, out, maxKvLength, capacity, cacheFormat } = operands;
  const { nHeads, nKvHeads, headDim, rotaryDim = headDim, row = 0, window = NO_WINDOW } = operands;
  const variant = variantOf(recorder);
  const nWindowSplits = Math.ceil((window - 1) / SPLIT) + 1;
  const n_splits = Math.min(nWindowSplits, Math.ceil(maxKvLength / SPLIT));
  const quads = headDim / 4;
  const PARTS = Math.ceil(quads / 8);
  const most = variant === "direct" ? Math.floor(32 / PARTS) : Math.min(4, Math.floor(16 / PARTS));
  const HEADS = headsAtOnce(nHeads / nKvHeads, most);
  const nRowQuads = (HEADS + 2) * quads;
  // A software adapter clears workgroup memory by a store for each element in each subgroup, and compiles all of them.
  const { isSoftware } = recorder.traits;
  const width = isSoftware ? Math.max(64, 2 ** Math.ceil(Math.log2(nRowQuads))) : 256;
  const SLOTS = width / 8;
  const STRIPS = Math.min(64, 2 ** Math.floor(Math.log2(width / quads)));
  const STAGES = hadamardStages(headDim);
  const names = { ...shapeConstants(operands), HAS_HADAMARD: cacheFormat === "q4", STAGES, SPLIT };
  const params = { n_splits, capacity, scale: operands.scale * Math.LOG2E, window, row };
  // A split that is alone needs no merge. On a GPU a dispatch more costs too little for a second way through the kernel.
  const WHOLE = variant === "direct" && n_splits === 1;
  const buffers = { qkv, k, v, table, state, partials: WHOLE ? out : partials };
  recorder.dispatch(decode[variant][cacheFormat], buffers, params, {
    ...{ ...names, WHOLE, ROTARY_DIM4: rotaryDim / 4, HEADS, PARTS, STRIPS },
    ...{ SLOTS, KEYS: SLOTS * Math.floor(4 / HEADS), LANES: Math.max(width / 2, nRowQuads) },
    ...{ SCALE_PAIRS: scalePairs(headDim), LANE_STAGES: Math.min(3, STAGES) },
  });
  if (WHOLE) return;
  const WORKGROUP = variant === "direct" ? PARTS * 8 : isSoftware ? 64 : 256;
  recorder.dispatch(merge, { partials, state, out }, { n_splits, window, out_row: row }, {
    ...{ ...names, STRIPS: Math.min(64, Math.floor(WORKGROUP / quads)), LANES: quads, WORKGROUP },
  });
}

/** Query heads that one workgroup takes: all of a group, or the largest even part that is at most `most`. */
function headsAtOnce(groupSize: number, most: number): number {
  for (let heads = Math.min(most, groupSize); heads > 1; heads--) if (groupSize % heads === 0) return heads;
  return 1;
}
