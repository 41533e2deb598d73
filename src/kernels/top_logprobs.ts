/**
 * Log-probabilities of selected tokens and of the likeliest ones beside them, kept on the GPU until the host asks.
 *
 * @module
 */
import type { Gpu } from "../gpu/device.ts";
import { defineKernel, type Kernel } from "../gpu/kernel.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import * as wgsl from "../../wgsl/mod.ts";

/** Logits that one workgroup of `top_logprobs.wgsl` looks at. */
const SPAN = 4096;

/** Most tokens that are told for each selected one. */
export const MAX_TOP_LOGPROBS = 20;

/** The id of a rank that the vocabulary does not fill. */
const NO_ID = 0xffffffff;

const stretchKernel: Kernel<"logits" | "candidates" | "sums" | "copied", "vocab_size" | "n_top"> = defineKernel({
  name: "top_logprobs",
  source: [wgsl.shared_order, wgsl.top_logprobs],
  constants: [],
  bindings: { logits: "read", candidates: "read_write", sums: "read_write", copied: "read_write" },
  params: { vocab_size: "u32", n_top: "u32" },
  workgroups: ({ vocab_size }) => [Math.ceil(vocab_size / SPAN)],
  cost: ({ vocab_size, n_top }) => (8 + n_top) * vocab_size,
});

const rowKernel: Kernel<
  "candidates" | "sums" | "copied" | "token" | "state" | "rows",
  "n_stretches" | "n_top" | "capacity"
> = defineKernel({
  name: "top_logprobs_row",
  source: [wgsl.shared_order, wgsl.top_logprobs_row],
  constants: [],
  bindings: {
    candidates: "read",
    sums: "read",
    copied: "read",
    token: "read",
    state: "read",
    rows: "read_write",
  },
  params: { n_stretches: "u32", n_top: "u32", capacity: "u32" },
  workgroups: () => [1],
  cost: ({ n_stretches, n_top }) => 10 * n_stretches * (1 + n_top * n_top),
});

/** How likely the model found a token, and which others it found likely in its place. */
export interface TokenLogprobs {
  /** The token's id. */
  readonly token: number;
  /** ln of its probability by the model's own logits, before penalties, bias, grammar, temperature and filters. */
  readonly logprob: number;
  /** The likeliest tokens with theirs, the likeliest first. */
  readonly top: readonly { readonly token: number; readonly logprob: number }[];
}

/** Log-probabilities of one generation's tokens, on the GPU. */
export interface TopLogprobs {
  /** Likeliest tokens that are told for each selected one. */
  readonly nTop: number;
  /** Rows that are kept. */
  readonly capacity: number;
  /** Row c mod capacity is that of token c: (capacity, 1 + 2 nTop), bits of f32 and ids. */
  readonly rows: Tensor;
  /** The likeliest of each stretch of the vocabulary: (ceil(vocabSize / 4096), nTop, 2) u32. */
  readonly candidates: Tensor;
  /** Largest logit and mass of each stretch: (ceil(vocabSize / 4096), 2) u32. */
  readonly sums: Tensor;
  /** The logits as the model made them: (vocabSize) u32, bits of f32. */
  readonly copied: Tensor;
  /** Frees all tensors. */
  dispose(): void;
}

/**
 * Allocates room for log-probabilities.
 *
 * @param nTop Likeliest tokens to tell for each selected one, from 0 to `MAX_TOP_LOGPROBS`.
 * @param capacity Rows that are kept, at least as many as may be in flight before the host reads them.
 */
export function createTopLogprobs(gpu: Gpu, vocabSize: number, nTop: number, capacity: number): TopLogprobs {
  const nStretches = Math.ceil(vocabSize / SPAN);
  const make = (name: string, shape: readonly number[]) => gpu.createTensor(`logprobs, ${name}`, "u32", shape);
  const tensors = {
    rows: make("rows", [capacity, 1 + 2 * nTop]),
    candidates: make("candidates", [nStretches, Math.max(1, nTop), 2]),
    sums: make("sums", [nStretches, 2]),
    copied: make("copied", [vocabSize]),
  };
  return {
    nTop,
    capacity,
    ...tensors,
    dispose() {
      for (const each of Object.values(tensors)) each.dispose();
    },
  };
}

/** Records the first half, on logits that nothing has changed yet: (vocabSize) f32. */
export function measureLogits(recorder: Recorder, into: TopLogprobs, logits: Tensor, vocabSize: number): void {
  const { candidates, sums, copied, nTop } = into;
  recorder.dispatch(stretchKernel, { logits, candidates, sums, copied }, { vocab_size: vocabSize, n_top: nTop }, {});
}

/** Records the second half, after the selection that wrote `token` (1) and counted it in `state` (8). */
export function writeTopLogprobs(
  recorder: Recorder,
  into: TopLogprobs,
  { token, state, vocabSize }: { readonly token: Tensor; readonly state: Tensor; readonly vocabSize: number },
): void {
  const { candidates, sums, copied, rows, nTop, capacity } = into;
  recorder.dispatch(rowKernel, { candidates, sums, copied, token, state, rows }, {
    n_stretches: Math.ceil(vocabSize / SPAN),
    n_top: nTop,
    capacity,
  }, {});
}

/**
 * Reads one row.
 *
 * @param words The words of `rows`.
 * @param count Which token of the generation, from 0.
 * @param token Its id.
 */
export function readTopLogprobs(
  { nTop, capacity }: TopLogprobs,
  words: Uint32Array<ArrayBuffer>,
  count: number,
  token: number,
): TokenLogprobs {
  const stride = 1 + 2 * nTop;
  const first = (count % capacity) * stride;
  const values = new Float32Array(words.buffer, words.byteOffset, words.length);
  const top = [];
  for (let rank = 0; rank < nTop; rank++) {
    const id = words[first + 1 + 2 * rank]!;
    // The largest logit's own rounding may leave a hair over zero.
    if (id !== NO_ID) top.push({ token: id, logprob: Math.min(0, values[first + 2 + 2 * rank]!) });
  }
  return { token, logprob: Math.min(0, values[first]!), top };
}
