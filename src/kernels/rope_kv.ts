/**
 * Rotary position embedding, fused with the write of keys and values into the cache.
 *
 * @module
 */
import { defineKernel, type Kernel } from "../gpu/kernel.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import * as wgsl from "../../wgsl/mod.ts";
import { kvFamily, type KvFormat } from "./kv_formats.ts";

type Bindings = "qkv" | "table" | "state" | "q" | "k" | "v";
type Names = "N_HEADS" | "N_KV_HEADS" | "HEAD_DIM4" | "ROTARY_DIM4";

const kernels = kvFamily((format, source): Kernel<Bindings, "n_tokens" | "capacity", Names> =>
  defineKernel({
    name: `rope_kv.${format}`,
    source: [source, wgsl.rope_kv],
    constants: ["N_HEADS", "N_KV_HEADS", "HEAD_DIM4", "ROTARY_DIM4"],
    bindings: { qkv: "read", table: "read", state: "read", q: "read_write", k: "read_write", v: "read_write" },
    params: { n_tokens: "u32", capacity: "u32" },
    workgroups: ({ n_tokens }, { N_HEADS, N_KV_HEADS, HEAD_DIM4 }) => [
      Math.ceil((N_HEADS + 2 * N_KV_HEADS) * HEAD_DIM4 / 64),
      n_tokens,
    ],
    cost: ({ n_tokens }, { N_HEADS, N_KV_HEADS, HEAD_DIM4 }) => 16 * n_tokens * (N_HEADS + 2 * N_KV_HEADS) * HEAD_DIM4,
  })
);

/** Operands of `ropeKv`. */
export interface RopeKv {
  /** Projected queries, keys and values: (nTokens, nHeads + 2 nKvHeads, headDim) f32. */
  readonly qkv: Tensor;
  /** Cosines and sines by position: (nPositions, rotaryDim / 2, 2) f32, with a row for every position below `capacity`. */
  readonly table: Tensor;
  /** Sequence state: (8) u32; `state[0]` is the position of the first token. */
  readonly state: Tensor;
  /** Output, rotated queries: (nTokens, nHeads, headDim) f32. */
  readonly q: Tensor;
  /** Cached keys, rotated: (nKvHeads, capacity, headDim) in `cacheFormat`. Rows position to position + nTokens - 1 are written. */
  readonly k: Tensor;
  /** Cached values: (nKvHeads, capacity, headDim) in `cacheFormat`. The same rows are written. */
  readonly v: Tensor;
  /** Storage format of `k` and `v`. */
  readonly cacheFormat: KvFormat;
  /** Tokens that the cache has room for. Tokens past it are dropped, so the caller makes room first. */
  readonly capacity: number;
  /** Number of tokens. */
  readonly nTokens: number;
  /** Query heads. */
  readonly nHeads: number;
  /** Key and value heads. */
  readonly nKvHeads: number;
  /** Elements of a head, a multiple of 4. */
  readonly headDim: number;
  /** Elements of a head that are rotated, a multiple of 4; the rest passes through. Default headDim. */
  readonly rotaryDim?: number;
}

/** Records the rotation of queries and keys (pairs j and j + rotaryDim / 2) and the write into the cache. */
export function ropeKv(recorder: Recorder, operands: RopeKv): void {
  const { qkv, table, state, q, k, v, cacheFormat, capacity, nTokens, nHeads, nKvHeads, headDim } = operands;
  const { rotaryDim = headDim } = operands;
  recorder.dispatch(kernels[cacheFormat], { qkv, table, state, q, k, v }, { n_tokens: nTokens, capacity }, {
    N_HEADS: nHeads,
    N_KV_HEADS: nKvHeads,
    HEAD_DIM4: headDim / 4,
    ROTARY_DIM4: rotaryDim / 4,
  });
}
