/**
 * The Hadamard transform of rows, which takes attention's output over rotated values back.
 *
 * @module
 */
import { defineKernel, type Kernel } from "../gpu/kernel.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import * as wgsl from "../../wgsl/mod.ts";
import { hadamardBlock } from "./kv_formats.ts";

const kernel: Kernel<"x", "n_tokens" | "n_heads" | "token_begin", "STAGES" | "HEAD_DIM4" | "LANES"> = defineKernel({
  name: "hadamard",
  source: [wgsl.shared_exchange_memory, wgsl.shared_hadamard, wgsl.hadamard],
  constants: ["STAGES", "HEAD_DIM4", "LANES"],
  bindings: { x: "read_write" },
  params: { n_tokens: "u32", n_heads: "u32", token_begin: "u32" },
  workgroups: ({ n_tokens, n_heads }) => [n_heads, n_tokens],
  cost: ({ n_tokens, n_heads }, { STAGES, HEAD_DIM4 }) => 4 * (STAGES + 2) * n_tokens * n_heads * HEAD_DIM4,
});

/** Stages that a transform of rows of `headDim` has between invocations, which own 4 elements each. */
export function hadamardStages(headDim: number): number {
  return Math.log2(hadamardBlock(headDim) / 4);
}

/** Operands of `hadamard`. */
export interface Hadamard {
  /** Rows, changed in place: (at least firstRow + nTokens, nHeads, headDim) f32. */
  readonly x: Tensor;
  /** Number of tokens. */
  readonly nTokens: number;
  /** Row of the first token. Default 0. */
  readonly firstRow?: number;
  /** Rows of a token. */
  readonly nHeads: number;
  /** Elements of a row, a multiple of 4 up to 1,024. */
  readonly headDim: number;
}

/** Records the normalised transform of every row, in blocks of the largest power of two that divides headDim. */
export function hadamard(recorder: Recorder, { x, nTokens, firstRow = 0, nHeads, headDim }: Hadamard): void {
  recorder.dispatch(kernel, { x }, { n_tokens: nTokens, n_heads: nHeads, token_begin: firstRow }, {
    STAGES: hadamardStages(headDim),
    HEAD_DIM4: headDim / 4,
    LANES: headDim / 4,
  });
}
