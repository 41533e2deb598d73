/**
 * Products with weight matrices that begin with a norm: one dispatch for one vector, several for many, where a norm
 * repeated by every tile would cost more than its dispatch. The gate stays part of the product where `canGate`.
 *
 * @module
 */
import type { Matrix } from "../gpu/matrix.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { canGate, matmul } from "./matmul.ts";
import { hasMatvec, matvec } from "./matvec.ts";
import { rmsNorm } from "./rms_norm.ts";
import { siluMul } from "./silu_mul.ts";

/** Operands of `normMatmul`. */
export interface NormMatmul {
  /** Input: (at least firstRow + nRows, matrix.columns) f32. */
  readonly x: Tensor;
  /** First row of `x` that is read. Default 0. */
  readonly firstRow?: number;
  /** Gain of the norm: (matrix.columns) f32. */
  readonly gain: Tensor;
  /** Added to the mean square. */
  readonly eps: number;
  /** Scratch: (nRows, matrix.columns) f32. */
  readonly normed: Tensor;
  /** The weights: (rows, columns), columns a multiple of 4. */
  readonly matrix: Matrix;
  /** Added to each output: (matrix.rows) f32. Default none. */
  readonly bias?: Tensor | undefined;
  /** Output: (nRows, matrix.rows) f32. */
  readonly out: Tensor;
  /** Number of vectors. */
  readonly nRows: number;
}

/** Records out = W (gain * x / rms(x)) + bias for each row of `x`. */
export function normMatmul(recorder: Recorder, operands: NormMatmul): void {
  multiply(recorder, operands, false);
}

/** Operands of `normGatedMatmul`: the matrix is gate rows, then as many up rows. */
export interface NormGatedMatmul extends NormMatmul {
  /** Scratch: (nRows, matrix.rows) f32. */
  readonly gateUp: Tensor;
  /** Output: (nRows, matrix.rows / 2) f32. */
  readonly out: Tensor;
}

/** Records out = silu(gate) * up for each row of `x`, gate and up as `normMatmul` would give them. */
export function normGatedMatmul(recorder: Recorder, operands: NormGatedMatmul): void {
  const { matrix, gateUp, out, nRows } = operands;
  if (canGate(recorder.traits, matrix, nRows)) return multiply(recorder, operands, true);
  normMatmul(recorder, { ...operands, out: gateUp });
  siluMul(recorder, { gateUp, out, nTokens: nRows, dim: matrix.rows / 2 });
}

function multiply(recorder: Recorder, operands: NormMatmul, gated: boolean): void {
  const { x, firstRow = 0, gain, eps, normed, matrix, bias, out, nRows } = operands;
  if (nRows === 1 && hasMatvec(recorder.traits)) {
    matvec(recorder, { x, xOffset: firstRow, norm: { gain, eps }, matrix, gated, bias, out, outOffset: 0, add: false });
    return;
  }
  rmsNorm(recorder, { x, weight: gain, out: normed, nRows, dim: matrix.columns, eps, firstRow });
  matmul(recorder, { x: normed, matrix, bias, out, nRows, gated });
}
