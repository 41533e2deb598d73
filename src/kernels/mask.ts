/**
 * Which tokens a selection may take: a bit for each, which a grammar sets.
 *
 * @module
 */
import { defineKernel, type Kernel } from "../gpu/kernel.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import * as wgsl from "../../wgsl/mod.ts";

/** Logits that one workgroup of `mask.wgsl` looks at. */
const SPAN = 4096;

const maskKernel: Kernel<"allowed" | "logits", "vocab_size"> = defineKernel({
  name: "mask",
  source: [wgsl.shared_order, wgsl.mask],
  constants: [],
  bindings: { allowed: "read", logits: "read_write" },
  params: { vocab_size: "u32" },
  workgroups: ({ vocab_size }) => [Math.ceil(vocab_size / SPAN)],
  cost: ({ vocab_size }) => vocab_size,
});

/** Words of a mask. */
export function maskWords(vocabSize: number): number {
  return Math.ceil(vocabSize / 32);
}

/** Operands of `mask`. */
export interface Mask {
  /** Logits, changed in place: (vocabSize) f32. */
  readonly logits: Tensor;
  /** Bit `i % 32` of word `i / 32` is set where token i may be selected: (maskWords(vocabSize)) u32. */
  readonly allowed: Tensor;
  /** Number of logits. */
  readonly vocabSize: number;
}

/** Records that no other token than those allowed can be selected from the logits. At least one has to be allowed. */
export function mask(recorder: Recorder, { logits, allowed, vocabSize }: Mask): void {
  recorder.dispatch(maskKernel, { allowed, logits }, { vocab_size: vocabSize }, {});
}
