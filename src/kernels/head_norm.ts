/**
 * Root mean square normalisation of each query and key head, as Qwen3 has it.
 *
 * @module
 */
import { defineKernel, type Kernel } from "../gpu/kernel.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import * as wgsl from "../../wgsl/mod.ts";

/** Heads of one workgroup. */
const HEADS = 8;

const kernel: Kernel<"weight" | "qkv", "n_tokens" | "eps", "N_HEADS" | "N_KV_HEADS" | "HEAD_DIM" | "HEAD_DIM4"> =
  defineKernel({
    name: "head_norm",
    source: [wgsl.head_norm],
    constants: ["N_HEADS", "N_KV_HEADS", "HEAD_DIM", "HEAD_DIM4"],
    bindings: { weight: "read", qkv: "read_write" },
    params: { n_tokens: "u32", eps: "f32" },
    workgroups: ({ n_tokens }, { N_HEADS, N_KV_HEADS }) => [Math.ceil((N_HEADS + N_KV_HEADS) / HEADS), n_tokens],
    cost: ({ n_tokens }, { N_HEADS, N_KV_HEADS, HEAD_DIM }) => 3 * n_tokens * (N_HEADS + N_KV_HEADS) * HEAD_DIM,
  });

/** Operands of `headNorm`. */
export interface HeadNorm {
  /** Projected queries, keys and values: (nTokens, nHeads + 2 nKvHeads, headDim) f32. Queries and keys are replaced. */
  readonly qkv: Tensor;
  /** Gain of every query head, then of every key head: (2, headDim) f32. */
  readonly weight: Tensor;
  /** Number of tokens. */
  readonly nTokens: number;
  /** Query heads. */
  readonly nHeads: number;
  /** Key and value heads. */
  readonly nKvHeads: number;
  /** Elements of a head, a multiple of 4. */
  readonly headDim: number;
  /** Added to the mean square. */
  readonly eps: number;
}

/** Records x = weight * x / rms(x) for each query and key head, in place. */
export function headNorm(recorder: Recorder, operands: HeadNorm): void {
  const { qkv, weight, nTokens, nHeads, nKvHeads, headDim, eps } = operands;
  recorder.dispatch(kernel, { weight, qkv }, { n_tokens: nTokens, eps }, {
    N_HEADS: nHeads,
    N_KV_HEADS: nKvHeads,
    HEAD_DIM: headDim,
    HEAD_DIM4: headDim / 4,
  });
}
