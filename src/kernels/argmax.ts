/**
 * The largest of each row of logits.
 *
 * @module
 */
import { defineKernel, type Kernel } from "../gpu/kernel.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import * as wgsl from "../../wgsl/mod.ts";

/** Logits that one workgroup of `argmax.wgsl` looks at. */
const SPAN = 4096;

/** Key of a logit that is NaN or infinite, as `shared/order.wgsl` has it. */
const NOT_FINITE = 0xffffffff;

const kernel: Kernel<"logits" | "partials", "vocab_size" | "first_row" | "n_rows"> = defineKernel({
  name: "argmax",
  source: [wgsl.shared_order, wgsl.argmax],
  constants: [],
  bindings: { logits: "read", partials: "read_write" },
  params: { vocab_size: "u32", first_row: "u32", n_rows: "u32" },
  workgroups: ({ vocab_size, n_rows }) => [stretches(vocab_size), n_rows],
  cost: ({ vocab_size, n_rows }) => 4 * vocab_size * n_rows,
});

/** Stretches of the vocabulary of which each has its own best. */
export function stretches(vocabSize: number): number {
  return Math.ceil(vocabSize / SPAN);
}

/** Operands of `argmax`. */
export interface Argmax {
  /** Logits: (at least firstRow + nRows, vocabSize) f32. */
  readonly logits: Tensor;
  /** Output, the best (key, id) of each stretch of each row: (nRows, stretches(vocabSize), 2) u32. */
  readonly partials: Tensor;
  /** Number of logits of a row. */
  readonly vocabSize: number;
  /** First row to look at. Default 0. */
  readonly firstRow?: number;
  /** Number of rows. Default 1. */
  readonly nRows?: number;
}

/** Records the first half of an argmax: what is left is to find the largest key, and the lowest id that has it. */
export function argmax(recorder: Recorder, { logits, partials, vocabSize, firstRow = 0, nRows = 1 }: Argmax): void {
  recorder.dispatch(kernel, { logits, partials }, { vocab_size: vocabSize, first_row: firstRow, n_rows: nRows }, {});
}

/**
 * The second half, on the host.
 *
 * @param partials Words of one row of `partials`: (stretches, 2).
 * @returns The id of the largest logit, the lowest among equals; undefined where a logit is NaN or infinite.
 */
export function bestOf(partials: Uint32Array): number | undefined {
  let [key, id] = [-1, 0];
  // Stretches are in the order of ids, so that the first of equal keys has the lowest.
  for (let i = 0; i < partials.length; i += 2) if (partials[i]! > key) [key, id] = [partials[i]!, partials[i + 1]!];
  return key === NOT_FINITE ? undefined : id;
}
