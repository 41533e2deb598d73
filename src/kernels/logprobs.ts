/**
 * Log probabilities of given tokens.
 *
 * @module
 */
import { defineKernel, type Kernel } from "../gpu/kernel.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import * as wgsl from "../../wgsl/mod.ts";

const kernel: Kernel<"logits" | "targets" | "out", "n_rows" | "vocab_size" | "first"> = defineKernel({
  name: "logprobs",
  source: [wgsl.shared_order, wgsl.logprobs],
  constants: [],
  bindings: { logits: "read", targets: "read", out: "read_write" },
  params: { n_rows: "u32", vocab_size: "u32", first: "u32" },
  workgroups: ({ n_rows }) => [n_rows],
  // A logit is read twice and exponentiated once, which takes about as long as eight multiply-adds.
  cost: ({ n_rows, vocab_size }) => 8 * n_rows * vocab_size,
});

/** Operands of `logprobs`. */
export interface Logprobs {
  /** One row of logits a position: (nRows, vocabSize) f32. */
  readonly logits: Tensor;
  /** Token ids, each below `vocabSize`: (first + nRows) u32. Row r of the logits is scored at `targets[first + r]`. */
  readonly targets: Tensor;
  /** ln p(target), all at most 0; NaN where the row holds a NaN or an infinity: (first + nRows) f32. */
  readonly out: Tensor;
  /** Rows to score. */
  readonly nRows: number;
  /** Row length. */
  readonly vocabSize: number;
  /** Index of the first row's entry in `targets` and `out`. Default 0. */
  readonly first?: number;
}

/** Records out[first + r] = ln softmax(logits[r])[targets[first + r]] for each row, in f32. */
export function logprobs(recorder: Recorder, { logits, targets, out, nRows, vocabSize, first = 0 }: Logprobs): void {
  recorder.dispatch(kernel, { logits, targets, out }, { n_rows: nRows, vocab_size: vocabSize, first }, {});
}
