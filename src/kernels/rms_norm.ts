/**
 * Root mean square normalisation.
 *
 * @module
 */
import { defineKernel, type Kernel } from "../gpu/kernel.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import * as wgsl from "../../wgsl/mod.ts";

const kernel: Kernel<"x" | "weight" | "out", "n_rows" | "first_row" | "eps", "DIM" | "DIM4"> = defineKernel({
  name: "rms_norm",
  source: [wgsl.rms_norm],
  constants: ["DIM", "DIM4"],
  bindings: { x: "read", weight: "read", out: "read_write" },
  params: { n_rows: "u32", first_row: "u32", eps: "f32" },
  workgroups: ({ n_rows }) => [n_rows],
  cost: ({ n_rows }, { DIM }) => 2 * n_rows * DIM,
});

/** Operands of `rmsNorm`. */
export interface RmsNorm {
  /** Input: (firstRow + nRows, dim) f32. */
  readonly x: Tensor;
  /** Gain: (dim) f32. */
  readonly weight: Tensor;
  /** Output: (nRows, dim) f32. */
  readonly out: Tensor;
  /** Rows to normalise. */
  readonly nRows: number;
  /** Row length, a multiple of 4. */
  readonly dim: number;
  /** Added to the mean square. */
  readonly eps: number;
  /** First row of `x` that is read. Default 0. */
  readonly firstRow?: number;
}

/** Records out = weight * x / rms(x) for each row. */
export function rmsNorm(recorder: Recorder, { x, weight, out, nRows, dim, eps, firstRow = 0 }: RmsNorm): void {
  recorder.dispatch(kernel, { x, weight, out }, { n_rows: nRows, first_row: firstRow, eps }, {
    DIM: dim,
    DIM4: dim / 4,
  });
}
