/**
 * Selection of the next token from logits that stay on the GPU, and of nothing else on the host: the kernels write
 * the token, advance the sequence and notice stop tokens, so that one recording serves every decoded token.
 *
 * @module
 */
import type { Gpu } from "../gpu/device.ts";
import { defineKernel, type Kernel } from "../gpu/kernel.ts";
import type { Recorder } from "../gpu/recorder.ts";
import { byteLengthOf, type Tensor } from "../gpu/tensor.ts";
import * as wgsl from "../../wgsl/mod.ts";
import { argmax, stretches } from "./argmax.ts";
import { mask, maskWords } from "./mask.ts";
import { MAX_BIASES, penalize } from "./penalize.ts";
import { type ResolvedSampling, sample, type SampleShapes, sampleShapes } from "./sample.ts";
import { measureLogits, type TopLogprobs, writeTopLogprobs } from "./top_logprobs.ts";

export type { ResolvedSampling };

/** Stop ids that a `Selection` has room for. */
export const MAX_STOP_IDS = 64;

/** Value of `state[1]` after a step whose logits held a NaN or an infinity. */
export const DONE_NOT_FINITE = 2;

const advanceKernel: Kernel<
  "partials" | "stop_ids" | "state" | "token" | "ring" | "counts",
  "n_partials" | "n_stop_ids" | "ring_capacity" | "n_tokens"
> = defineKernel({
  name: "advance",
  source: [wgsl.shared_order, wgsl.advance],
  constants: [],
  bindings: {
    partials: "read",
    stop_ids: "read",
    state: "read_write",
    token: "read_write",
    ring: "read_write",
    counts: "read_write",
  },
  params: { n_partials: "u32", n_stop_ids: "u32", ring_capacity: "u32", n_tokens: "u32" },
  workgroups: () => [1],
  cost: () => 1000,
});

/** What one generation's selections share: its stop ids, its output so far, and scratch. */
export interface Selection extends Readonly<Record<keyof SampleShapes, Tensor>> {
  /** Number of logits. */
  readonly vocabSize: number;
  /** Entries of `ring`. */
  readonly ringCapacity: number;
  /** Selected ids, number c of a generation at c mod capacity: (ringCapacity) u32. */
  readonly ring: Tensor;
  /**
   * Times that each token is in the output, which `select` counts: (vocabSize) u32. Before a generation with a penalty
   * the host clears it and marks those of the prompt by `IN_PROMPT`.
   */
  readonly counts: Tensor;
  /** Biases of the generation, as `biasEntries` makes them: (MAX_BIASES, 2) u32. */
  readonly biases: Tensor;
  /** Bits of the tokens that may be selected, as `Mask.allowed`: (maskWords(vocabSize)) u32. */
  readonly allowed: Tensor;
  /** Ids that end a generation; `setStopIds` fills it: (MAX_STOP_IDS) u32. */
  readonly stopIds: Tensor;
  /** Best (key, id) of each stretch of the vocabulary: (ceil(vocabSize / 4096), 2) u32. */
  readonly partials: Tensor;
  /** Frees all tensors. */
  dispose(): void;
}

function selectionShapes(vocabSize: number, ringCapacity: number) {
  return {
    ring: [ringCapacity],
    counts: [vocabSize],
    biases: [MAX_BIASES, 2],
    allowed: [maskWords(vocabSize)],
    stopIds: [MAX_STOP_IDS],
    partials: [stretches(vocabSize), 2],
    ...sampleShapes(vocabSize),
  } as const;
}

/** Bytes that `createSelection` allocates. */
export function selectionBytes(vocabSize: number, ringCapacity: number): number {
  return Object.values(selectionShapes(vocabSize, ringCapacity))
    .reduce((sum, shape) => sum + byteLengthOf("u32", shape), 0);
}

/**
 * Allocates what selections from `vocabSize` logits need.
 *
 * @param ringCapacity Selected ids that are kept, at least as many as may be in flight before the host reads them.
 */
export function createSelection(gpu: Gpu, vocabSize: number, ringCapacity: number): Selection {
  const shapes = Object.entries(selectionShapes(vocabSize, ringCapacity));
  const tensors = Object.fromEntries(
    shapes.map(([name, shape]) => [name, gpu.createTensor(`selection, ${name}`, "u32", shape)]),
  ) as Record<keyof ReturnType<typeof selectionShapes>, Tensor>;
  return {
    vocabSize,
    ringCapacity,
    ...tensors,
    dispose() {
      for (const each of Object.values(tensors)) each.dispose();
    },
  };
}

/**
 * Writes the ids that end a generation.
 *
 * @throws {RangeError} If there are more than `MAX_STOP_IDS`.
 */
export function setStopIds(gpu: Gpu, selection: Selection, ids: readonly number[]): void {
  if (ids.length > MAX_STOP_IDS) {
    throw new RangeError(`Cannot stop on more than ${MAX_STOP_IDS} token ids, got ${ids.length}`);
  }
  if (ids.length > 0) gpu.upload(selection.stopIds, Uint32Array.from(ids));
}

/** Operands of `select`. */
export interface Select {
  /** Logits of the last token: (vocabSize) f32. Penalties, biases and the mask change them in place. */
  readonly logits: Tensor;
  /** State of the sequence: (8) u32 of position, done, count; the rest is not touched. */
  readonly state: Tensor;
  /** The selected id goes here, to be the next forward's input: (1) u32. */
  readonly token: Tensor;
  /** Stop ids, output and scratch. */
  readonly selection: Selection;
  /** How many of `selection.stopIds` count. */
  readonly nStopIds: number;
  /** Tokens that the forward before it has put into the cache, by which the position advances. Default 1. */
  readonly nTokens?: number;
  /** How to select. Default greedy. */
  readonly sampling?: ResolvedSampling;
  /** Whether only tokens of `selection.allowed` are selected, after penalties and biases. Default false. */
  readonly isMasked?: boolean;
  /** Where the token's log-probability goes, and those of the likeliest. Default nowhere. */
  readonly logprobs?: TopLogprobs;
}

/**
 * Records the selection of one token. The id goes to `token` and `selection.ring`, the position advances by `nTokens`
 * and the count by one; a stop id sets done to 1, and logits that are not finite set it to `DONE_NOT_FINITE`. Once
 * done is set, nothing changes any more. Among equal logits the lowest id comes first.
 */
export function select(
  recorder: Recorder,
  { logits, state, token, selection, nStopIds, nTokens = 1, sampling, isMasked = false, logprobs }: Select,
): void {
  const { vocabSize, ringCapacity, partials, drawn, ring, counts, biases, allowed, stopIds } = selection;
  const nPartials = stretches(vocabSize);
  if (logprobs !== undefined) measureLogits(recorder, logprobs, logits, vocabSize);
  if (sampling !== undefined) penalize(recorder, { logits, counts, biases, vocabSize, penalties: sampling });
  if (isMasked) mask(recorder, { logits, allowed, vocabSize });
  argmax(recorder, { logits, partials, vocabSize });
  const isSampled = sampling !== undefined && sampling.temperature > 0;
  if (isSampled) sample(recorder, { ...selection, logits, state, nPartials, sampling });
  recorder.dispatch(
    advanceKernel,
    { partials: isSampled ? drawn : partials, stop_ids: stopIds, state, token, ring, counts },
    {
      n_partials: isSampled ? 1 : nPartials,
      n_stop_ids: nStopIds,
      ring_capacity: ringCapacity,
      n_tokens: nTokens,
    },
    {},
  );
  if (logprobs !== undefined) writeTopLogprobs(recorder, logprobs, { token, state, vocabSize });
}
