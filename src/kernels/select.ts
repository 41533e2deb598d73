/**
 * Selection of the next token from logits that stay on the GPU, and of nothing else on the host: the kernels write
 * the token, advance the sequence and notice stop tokens, so that one recording serves every decoded token.
 *
 * @module
 */
import type { Gpu } from "../gpu/device.ts";
import { defineKernel, type Kernel } from "../gpu/kernel.ts";
import type { Recorder } from "../gpu/recorder.ts";
import { byteLengthOf, type Dtype, type Tensor } from "../gpu/tensor.ts";
import * as wgsl from "../../wgsl/mod.ts";

/** Logits that one workgroup of `argmax.wgsl` looks at. */
const ARGMAX_SPAN = 4096;

/** Stop ids that a `Selection` has room for. */
export const MAX_STOP_IDS = 64;

/** Value of `state[1]` after a step whose logits held a NaN or an infinity. */
export const DONE_NOT_FINITE = 2;

const argmaxKernel: Kernel<"logits" | "partials", "vocab_size"> = defineKernel({
  name: "argmax",
  source: [wgsl.shared_order, wgsl.argmax],
  constants: [],
  bindings: { logits: "read", partials: "read_write" },
  params: { vocab_size: "u32" },
  workgroups: ({ vocab_size }) => [Math.ceil(vocab_size / ARGMAX_SPAN)],
  cost: ({ vocab_size }) => 4 * vocab_size,
});

const advanceKernel: Kernel<
  "partials" | "stop_ids" | "state" | "token" | "ring" | "seen",
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
    seen: "read_write",
  },
  params: { n_partials: "u32", n_stop_ids: "u32", ring_capacity: "u32", n_tokens: "u32" },
  workgroups: () => [1],
  cost: () => 1000,
});

/** What one generation's selections share: its stop ids, its output so far, and scratch. */
export interface Selection {
  /** Number of logits. */
  readonly vocabSize: number;
  /** Entries of `ring`. */
  readonly ringCapacity: number;
  /** Selected ids, number c of a generation at c mod capacity: (ringCapacity) u32. */
  readonly ring: Tensor;
  /** One bit a token id, set for tokens of prompt and output: (ceil(vocabSize / 32)) u32, id 0 in the lowest bit. */
  readonly seen: Tensor;
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
    seen: [Math.ceil(vocabSize / 32)],
    stopIds: [MAX_STOP_IDS],
    partials: [Math.ceil(vocabSize / ARGMAX_SPAN), 2],
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
  const shapes = selectionShapes(vocabSize, ringCapacity);
  const tensor = (name: keyof typeof shapes, dtype: Dtype = "u32") =>
    gpu.createTensor(`selection, ${name}`, dtype, shapes[name]);
  const tensors = {
    ring: tensor("ring"),
    seen: tensor("seen"),
    stopIds: tensor("stopIds"),
    partials: tensor("partials"),
  };
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
  /** Logits of the last token: (vocabSize) f32. */
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
}

/**
 * Records the selection of one token. The id goes to `token` and `selection.ring`, the position advances by `nTokens`
 * and the count by one; a stop id sets done to 1, and logits that are not finite set it to `DONE_NOT_FINITE`. Once
 * done is set, nothing changes any more.
 */
export function select(recorder: Recorder, { logits, state, token, selection, nStopIds, nTokens = 1 }: Select): void {
  const { vocabSize, ringCapacity, partials, ring, seen, stopIds } = selection;
  recorder.dispatch(argmaxKernel, { logits, partials }, { vocab_size: vocabSize }, {});
  recorder.dispatch(
    advanceKernel,
    { partials, stop_ids: stopIds, state, token, ring, seen },
    {
      n_partials: Math.ceil(vocabSize / ARGMAX_SPAN),
      n_stop_ids: nStopIds,
      ring_capacity: ringCapacity,
      n_tokens: nTokens,
    },
    {},
  );
}
