/**
 * Causal attention over the KV cache: FlashAttention-2 for a chunk of tokens, split-KV for a single one.
 *
 * @module
 */
import { defineKernel, type Kernel } from "../gpu/kernel.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import * as wgsl from "../../wgsl/mod.ts";
import { kvFamily, type KvFormat } from "./kv_formats.ts";

type Inputs = "q" | "k" | "v" | "state";
type PrefillParams = "n_tokens" | "capacity" | "scale" | "mean_kv_len";
type DecodeParams = "n_splits" | "capacity" | "scale";
type ShapeNames = "GROUP_SIZE" | "N_HEADS" | "HEAD_DIM4";

const INPUTS = { q: "read", k: "read", v: "read", state: "read" } as const;
const SHAPE_NAMES = ["GROUP_SIZE", "N_HEADS", "HEAD_DIM4"] as const;

/**
 * Keys of one split of decode, for each variant: constants, so that a split's result never depends on how many there
 * are. A GPU profits from larger ones, because what splits write is read again by the merge.
 */
const SPLIT = { direct: 128, shared: 256 } as const;

type PrefillKernel = Kernel<Inputs | "out", PrefillParams, ShapeNames | "ROWS" | "PARTS">;
type DecodeKernel = Kernel<Inputs | "partials", DecodeParams, ShapeNames | "SPLIT" | "HEADS" | "PARTS" | "STRIPS">;

/** Direct kernels hold 8 * ROWS query rows in a workgroup, shared ones 64. */
function prefillFamily(variant: keyof typeof SPLIT, text: string): Readonly<Record<KvFormat, PrefillKernel>> {
  const direct = variant === "direct";
  return kvFamily((format, source) =>
    defineKernel({
      name: `attention_prefill_${variant}.${format}`,
      source: [source, wgsl.shared_online_softmax, text],
      constants: [...SHAPE_NAMES, direct ? "ROWS" : "PARTS"],
      bindings: { ...INPUTS, out: "read_write" },
      params: { n_tokens: "u32", capacity: "u32", scale: "f32", mean_kv_len: "u32" },
      subgroups: direct,
      workgroups: ({ n_tokens }, { ROWS, GROUP_SIZE, N_HEADS }) => [
        Math.ceil(n_tokens * GROUP_SIZE / (direct ? 8 * ROWS : 64)),
        N_HEADS / GROUP_SIZE,
      ],
      cost: prefillCost,
    })
  );
}

function decodeFamily(variant: keyof typeof SPLIT, text: string): Readonly<Record<KvFormat, DecodeKernel>> {
  const direct = variant === "direct";
  return kvFamily((format, source) =>
    defineKernel({
      name: `attention_decode_${variant}.${format}`,
      source: [source, wgsl.shared_online_softmax, text],
      constants: [...SHAPE_NAMES, "SPLIT", "HEADS", "PARTS", ...(direct ? [] : ["STRIPS" as const])],
      bindings: { ...INPUTS, partials: "read_write" },
      params: { n_splits: "u32", capacity: "u32", scale: "f32" },
      subgroups: direct,
      workgroups: ({ n_splits }, { HEADS, N_HEADS }) => [N_HEADS / HEADS, n_splits],
      cost: decodeCost,
    })
  );
}

const prefill = {
  direct: prefillFamily("direct", wgsl.attention_prefill_direct),
  shared: prefillFamily("shared", wgsl.attention_prefill_shared),
};
const decode = {
  direct: decodeFamily("direct", wgsl.attention_decode_direct),
  shared: decodeFamily("shared", wgsl.attention_decode_shared),
};

/** Two products of headDim multiply-adds for each pair of a query and a key. */
function prefillCost(
  { n_tokens, mean_kv_len }: Record<PrefillParams, number>,
  { N_HEADS, HEAD_DIM4 }: Record<ShapeNames, number>,
): number {
  return 8 * n_tokens * mean_kv_len * N_HEADS * HEAD_DIM4;
}

function decodeCost(
  { n_splits }: Record<DecodeParams, number>,
  { SPLIT, N_HEADS, HEAD_DIM4 }: Record<ShapeNames | "SPLIT", number>,
): number {
  return 8 * n_splits * SPLIT * N_HEADS * HEAD_DIM4;
}

const merge: Kernel<
  "partials" | "state" | "out",
  "n_splits",
  "WORKGROUP" | "STRIPS" | "SPLIT" | "N_HEADS" | "HEAD_DIM4"
> = defineKernel({
  name: "attention_merge",
  source: [wgsl.shared_online_softmax, wgsl.attention_merge],
  constants: ["WORKGROUP", "STRIPS", "SPLIT", "N_HEADS", "HEAD_DIM4"],
  bindings: { partials: "read", state: "read", out: "read_write" },
  params: { n_splits: "u32" },
  workgroups: (_, { N_HEADS }) => [N_HEADS],
  cost: ({ n_splits }, { N_HEADS, HEAD_DIM4 }) => 8 * n_splits * N_HEADS * HEAD_DIM4,
});

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
  /** Rotated queries: (nTokens, nHeads, headDim) f32. */
  readonly q: Tensor;
  /** Cached keys, those of the chunk included: (nKvHeads, capacity, headDim) in `cacheFormat`. */
  readonly k: Tensor;
  /** Cached values, those of the chunk included: (nKvHeads, capacity, headDim) in `cacheFormat`. */
  readonly v: Tensor;
  /** Sequence state: (8) u32; `state[0]` is the position of the first token. */
  readonly state: Tensor;
  /** Scratch of at least `attentionPartialsShape(heads, maxKvLength)` f32. */
  readonly partials: Tensor;
  /** Output: (nTokens, nHeads, headDim) f32. */
  readonly out: Tensor;
  /** Number of tokens in the chunk. */
  readonly nTokens: number;
  /** The host's bound on `state[0] + nTokens`. A larger bound costs a little time and changes no result. */
  readonly maxKvLength: number;
  /** Tokens that the cache has room for. */
  readonly capacity: number;
  /** Factor on the scores, usually 1 / sqrt(headDim). */
  readonly scale: number;
  /** Storage format of `k` and `v`. */
  readonly cacheFormat: KvFormat;
}

/** Shape of the scratch that decoding with up to `maxKvLength` tokens needs: (nSplits, nHeads, headDim + 4) f32. */
export function attentionPartialsShape(
  { nHeads, headDim }: AttentionHeads,
  maxKvLength: number,
): [nSplits: number, nHeads: number, width: number] {
  return [Math.ceil(maxKvLength / SPLIT.direct), nHeads, headDim + 4];
}

/** Records attention of a chunk: row t sees keys 0 to state[0] + t. One token is split over its keys, more are not. */
export function attention(recorder: Recorder, operands: Attention): void {
  const { q, k, v, state, partials, out, nTokens, maxKvLength, capacity, cacheFormat } = operands;
  const { nHeads, nKvHeads, headDim } = operands;
  const { isSoftware, subgroups, subgroupSize } = recorder.traits;
  const variant = isSoftware && subgroups && subgroupSize >= 8 ? "direct" : "shared";
  const quads = headDim / 4;
  const shape = { GROUP_SIZE: nHeads / nKvHeads, N_HEADS: nHeads, HEAD_DIM4: quads };
  const scale = operands.scale * Math.LOG2E;
  if (nTokens > 1) {
    const params = { n_tokens: nTokens, capacity, scale, mean_kv_len: Math.ceil(maxKvLength - nTokens / 2) };
    recorder.dispatch(prefill[variant][cacheFormat], { q, k, v, state, out }, params, {
      ...shape,
      // One row more doubles the time that a software adapter takes to compile the kernel.
      ROWS: headDim <= 64 ? 2 : 1,
      PARTS: Math.ceil(quads / 16),
    });
    return;
  }
  const n_splits = Math.ceil(maxKvLength / SPLIT[variant]);
  const PARTS = Math.ceil(quads / 8);
  const most = variant === "direct" ? Math.floor(32 / PARTS) : Math.min(4, Math.floor(16 / PARTS));
  const STRIPS = variant === "direct" ? 1 : Math.floor(256 / quads);
  recorder.dispatch(decode[variant][cacheFormat], { q, k, v, state, partials }, { n_splits, capacity, scale }, {
    ...shape,
    ...{ SPLIT: SPLIT[variant], HEADS: headsAtOnce(shape.GROUP_SIZE, most), PARTS, STRIPS },
  });
  recorder.dispatch(merge, { partials, state, out }, { n_splits }, {
    ...{ N_HEADS: nHeads, HEAD_DIM4: quads, SPLIT: SPLIT[variant], STRIPS },
    WORKGROUP: variant === "direct" ? PARTS * 8 : 256,
  });
}

/** Query heads that one workgroup of decode takes: all of a group, or the largest even part that is at most `most`. */
function headsAtOnce(groupSize: number, most: number): number {
  for (let heads = Math.min(most, groupSize); heads > 1; heads--) if (groupSize % heads === 0) return heads;
  return 1;
}
