/**
 * Rotary position embedding, fused with the write of keys and values into the cache.
 *
 * @module
 */
import { defineKernel, type Kernel } from "../gpu/kernel.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import * as wgsl from "../../wgsl/mod.ts";
import { hadamardStages } from "./hadamard.ts";
import type { KvFormat } from "./kv_formats.ts";

type Bindings = "qkv" | "table" | "state" | "q" | "k" | "v";
type Params = "n_tokens" | "capacity" | "token_begin";
type Names = "N_HEADS" | "N_KV_HEADS" | "HEAD_DIM4" | "ROTARY_DIM4";
type GroupNames = "HAS_HADAMARD" | "STAGES" | "LANES";
type RopeKvKernel = Kernel<Bindings, Params, Names | GroupNames>;

const BINDINGS = {
  qkv: "read",
  table: "read",
  state: "read",
  q: "read_write",
  k: "read_write",
  v: "read_write",
} as const;
const NAMES = ["N_HEADS", "N_KV_HEADS", "HEAD_DIM4", "ROTARY_DIM4"] as const;

/** For formats that store every element by itself. */
function elementwise(format: "f32" | "f16", source: string): RopeKvKernel {
  return defineKernel({
    name: `rope_kv.${format}`,
    source: [source, wgsl.rope_kv],
    constants: [...NAMES],
    bindings: BINDINGS,
    params: { n_tokens: "u32", capacity: "u32", token_begin: "u32" },
    workgroups: ({ n_tokens }, { N_HEADS, N_KV_HEADS, HEAD_DIM4 }) => [
      Math.ceil((N_HEADS + 2 * N_KV_HEADS) * HEAD_DIM4 / 64),
      n_tokens,
    ],
    cost: ({ n_tokens }, { N_HEADS, N_KV_HEADS, HEAD_DIM4 }) => 16 * n_tokens * (N_HEADS + 2 * N_KV_HEADS) * HEAD_DIM4,
  });
}

/** For formats that store groups of elements with a scale. */
function grouped(format: "q8" | "q4", source: string): RopeKvKernel {
  return defineKernel({
    name: `rope_kv_groups.${format}`,
    source: [
      ...[wgsl.shared_exchange_memory, wgsl.shared_hadamard, wgsl.shared_rope],
      ...[wgsl.shared_half, source, wgsl.formats_kv_groups, wgsl.rope_kv_groups],
    ],
    constants: [...NAMES, "HAS_HADAMARD", "STAGES", "LANES"],
    bindings: BINDINGS,
    params: { n_tokens: "u32", capacity: "u32", token_begin: "u32" },
    workgroups: ({ n_tokens }, { N_HEADS, N_KV_HEADS }) => [N_HEADS + 2 * N_KV_HEADS, n_tokens],
    cost: ({ n_tokens }, { N_HEADS, N_KV_HEADS, HEAD_DIM4 }) => 64 * n_tokens * (N_HEADS + 2 * N_KV_HEADS) * HEAD_DIM4,
  });
}

const kernels: Readonly<Record<KvFormat, RopeKvKernel>> = {
  f32: elementwise("f32", wgsl.formats_kv_write_f32),
  f16: elementwise("f16", wgsl.formats_kv_write_f16),
  q8: grouped("q8", wgsl.formats_kv_write_q8),
  q4: grouped("q4", wgsl.formats_kv_write_q4),
};

/** Operands of `ropeKv`. */
export interface RopeKv {
  /** Projected queries, keys and values: (at least firstRow + nTokens, nHeads + 2 nKvHeads, headDim) f32. */
  readonly qkv: Tensor;
  /** Cosines and sines by position: (nPositions, rotaryDim / 2, 2) f32, with a row for every position below `capacity`. */
  readonly table: Tensor;
  /** Sequence state: (8) u32; `state[0]` is the position of the first token. */
  readonly state: Tensor;
  /** Output, rotated queries: (at least firstRow + nTokens, nHeads, headDim) f32. For q4 the Hadamard transform of the rotated rows. */
  readonly q: Tensor;
  /** Cached keys, rotated: as `kvTensorShape` has them. Rows position to position + nTokens - 1 are written. */
  readonly k: Tensor;
  /** Cached values, as `kvTensorShape` has them. The same rows are written. */
  readonly v: Tensor;
  /** Storage format of `k` and `v`. */
  readonly cacheFormat: KvFormat;
  /** Tokens that the cache has room for. Tokens past it are dropped, so the caller makes room first. */
  readonly capacity: number;
  /** Number of tokens. */
  readonly nTokens: number;
  /** Row of the first token in `qkv` and `q`. Default 0. */
  readonly firstRow?: number;
  /** Query heads. */
  readonly nHeads: number;
  /** Key and value heads. */
  readonly nKvHeads: number;
  /** Elements of a head, a multiple of 4, and of 16 for q8 and q4. */
  readonly headDim: number;
  /** Elements of a head that are rotated, a multiple of 4; the rest passes through. Default headDim. */
  readonly rotaryDim?: number;
}

/** Records the rotation of queries and keys (pairs j and j + rotaryDim / 2) and the write into the cache. */
export function ropeKv(recorder: Recorder, operands: RopeKv): void {
  const { qkv, table, state, q, k, v, cacheFormat, capacity, nTokens, nHeads, nKvHeads, headDim } = operands;
  const { rotaryDim = headDim, firstRow = 0 } = operands;
  recorder.dispatch(kernels[cacheFormat], { qkv, table, state, q, k, v }, {
    n_tokens: nTokens,
    capacity,
    token_begin: firstRow,
  }, {
    N_HEADS: nHeads,
    N_KV_HEADS: nKvHeads,
    HEAD_DIM4: headDim / 4,
    ROTARY_DIM4: rotaryDim / 4,
    HAS_HADAMARD: cacheFormat === "q4",
    STAGES: hadamardStages(headDim),
    LANES: headDim / 4,
  });
}
