/**
 * Changes of logits that a caller asks for before a token is selected: penalties by what is in the text, and biases.
 *
 * @module
 */
import { defineKernel, type Kernel } from "../gpu/kernel.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import * as wgsl from "../../wgsl/mod.ts";

/** Logits that one workgroup of `penalize.wgsl` looks at. */
const SPAN = 4096;

/** Biases that one generation may have. */
export const MAX_BIASES = 1024;

/** In `counts`: the token is in the prompt. The lower bits count it in the output. */
export const IN_PROMPT = 0x80000000;

const penalizeKernel: Kernel<"counts" | "logits", "vocab_size" | "repetition" | "presence" | "frequency"> =
  defineKernel({
    name: "penalize",
    source: [wgsl.shared_order, wgsl.penalize],
    constants: [],
    bindings: { counts: "read", logits: "read_write" },
    params: { vocab_size: "u32", repetition: "f32", presence: "f32", frequency: "f32" },
    workgroups: ({ vocab_size }) => [Math.ceil(vocab_size / SPAN)],
    cost: ({ vocab_size }) => vocab_size,
  });

const biasKernel: Kernel<"entries" | "logits", "n_entries"> = defineKernel({
  name: "bias",
  source: [wgsl.shared_order, wgsl.bias],
  constants: [],
  bindings: { entries: "read", logits: "read_write" },
  params: { n_entries: "u32" },
  workgroups: ({ n_entries }) => [Math.ceil(n_entries / 64)],
  cost: ({ n_entries }) => n_entries,
});

/** What changes logits before a selection; the biases come first. */
export interface Penalties {
  /** Added to the logits of tokens: pairs of different ids and finite numbers, at most `MAX_BIASES`. */
  readonly logitBias: readonly (readonly [id: number, bias: number])[];
  /** Divides positive logits of tokens in prompt and output, multiplies negative ones; 1 changes nothing. */
  readonly repetitionPenalty: number;
  /** Taken from the logits of tokens in the output; 0 changes nothing. */
  readonly presencePenalty: number;
  /** Taken from the logits of tokens in the output, times how often they are there; 0 changes nothing. */
  readonly frequencyPenalty: number;
}

/** Whether any penalty looks at what is in the text. */
export function countsTokens({ repetitionPenalty, presencePenalty, frequencyPenalty }: Penalties): boolean {
  return repetitionPenalty !== 1 || presencePenalty !== 0 || frequencyPenalty !== 0;
}

/** The words of `entries`: ids and bits of f32 in turn: (biases, 2) u32. */
export function biasEntries(biases: Penalties["logitBias"]): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(2 * biases.length);
  const values = new Float32Array(words.buffer);
  for (const [i, [id, bias]] of biases.entries()) {
    words[2 * i] = id;
    values[2 * i + 1] = bias;
  }
  return words;
}

/** Operands of `penalize`. */
export interface Penalize {
  /** Logits, changed in place: (vocabSize) f32. */
  readonly logits: Tensor;
  /** Times that each token is in the output, with `IN_PROMPT` for those of the prompt: (vocabSize) u32. */
  readonly counts: Tensor;
  /** What `biasEntries` gives for the penalties' biases: (MAX_BIASES, 2) u32. */
  readonly biases: Tensor;
  /** Number of logits. */
  readonly vocabSize: number;
  /** What to change. */
  readonly penalties: Penalties;
}

/** Records the changes that the penalties ask for, and nothing where they ask for none. */
export function penalize(recorder: Recorder, { logits, counts, biases, vocabSize, penalties }: Penalize): void {
  const { logitBias, repetitionPenalty, presencePenalty, frequencyPenalty } = penalties;
  if (logitBias.length > 0) {
    recorder.dispatch(biasKernel, { entries: biases, logits }, { n_entries: logitBias.length }, {});
  }
  if (countsTokens(penalties)) {
    recorder.dispatch(penalizeKernel, { counts, logits }, {
      vocab_size: vocabSize,
      repetition: repetitionPenalty,
      presence: presencePenalty,
      frequency: frequencyPenalty,
    }, {});
  }
}
