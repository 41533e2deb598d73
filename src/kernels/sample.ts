/**
 * Sampling: a random token, with the probabilities that a temperature and three filters leave.
 *
 * @module
 */
import { defineKernel, type Kernel } from "../gpu/kernel.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import * as wgsl from "../../wgsl/mod.ts";
import type { Penalties } from "./penalize.ts";

/** Logits that one workgroup of `sample_mass.wgsl` looks at. */
const SPAN = 4096;

/** Words of the buffer `bins`, see `shared/mass.wgsl`. */
const BIN_WORDS = 770;

const massKernel: Kernel<
  "logits" | "partials" | "masses" | "bins",
  "vocab_size" | "n_partials" | "scale" | "min_mass",
  "COUNTED" | "MIN_P"
> = defineKernel({
  name: "sample_mass",
  source: [wgsl.shared_order, wgsl.shared_mass, wgsl.sample_mass],
  constants: ["COUNTED", "MIN_P"],
  bindings: { logits: "read", partials: "read", masses: "read_write", bins: "read_write" },
  params: { vocab_size: "u32", n_partials: "u32", scale: "f32", min_mass: "u32" },
  workgroups: ({ vocab_size }) => [Math.ceil(vocab_size / SPAN)],
  cost: ({ vocab_size }) => 30 * vocab_size,
});

const sampleKernel: Kernel<
  "logits" | "partials" | "masses" | "listed" | "state" | "bins" | "drawn",
  "vocab_size" | "n_partials" | "top_k" | "top_p" | "min_mass" | "seed_low" | "seed_high"
> = defineKernel({
  name: "sample",
  source: [wgsl.shared_order, wgsl.shared_u64, wgsl.shared_philox, wgsl.shared_mass, wgsl.sample],
  constants: [],
  bindings: {
    logits: "read",
    partials: "read",
    masses: "read",
    state: "read",
    bins: "read_write",
    listed: "read_write",
    drawn: "read_write",
  },
  params: {
    vocab_size: "u32",
    n_partials: "u32",
    top_k: "u32",
    top_p: "u32",
    min_mass: "u32",
    seed_low: "u32",
    seed_high: "u32",
  },
  workgroups: () => [1],
  cost: () => 2e6,
});

/**
 * How a token is selected, with every choice made. Penalties come first, then the filters in the order in which they
 * stand here.
 */
export interface ResolvedSampling extends Penalties {
  /** Divides the logits; 0 takes the largest logit, and then the rest of this list does not count. */
  readonly temperature: number;
  /** Keeps this many tokens; 0 keeps all. */
  readonly topK: number;
  /** Keeps the fewest tokens that have this share of the probability; 1 keeps all. */
  readonly topP: number;
  /** Keeps tokens with at least this share of the largest probability; 0 keeps all. */
  readonly minP: number;
  /** Seed of the random numbers, a safe integer from 0. */
  readonly seed: number;
  /** Likeliest tokens whose log-probabilities are told beside each selected one's. Default: none are, nor its own. */
  readonly topLogprobs?: number;
}

/** Shapes of the u32 tensors that sampling works in. */
export interface SampleShapes {
  /** Probabilities over the largest one in units of 2^-31, with zeros up to a multiple of 4. */
  readonly masses: readonly [number];
  /** Totals of the masses, see `shared/mass.wgsl`; zero between two draws. */
  readonly bins: readonly [number];
  /** Ids of the tokens in one bin. */
  readonly listed: readonly [number];
  /** The (key, id) that was drawn, as `argmax.wgsl` writes them. */
  readonly drawn: readonly [number];
}

/** Shapes of the u32 tensors that sampling from `vocabSize` logits works in. */
export function sampleShapes(vocabSize: number): SampleShapes {
  return { masses: [Math.ceil(vocabSize / 4) * 4], bins: [BIN_WORDS], listed: [vocabSize], drawn: [2] };
}

/** Operands of `sample`: logits, state, and the tensors of `SampleShapes`. */
export interface Sample extends Readonly<Record<keyof SampleShapes, Tensor>> {
  /** Logits: (vocabSize) f32. */
  readonly logits: Tensor;
  /** Best (key, id) of each stretch of the logits, by `argmax.wgsl`: (nPartials, 2) u32. */
  readonly partials: Tensor;
  /** State of the sequence: (8) u32, whose count picks the random number. */
  readonly state: Tensor;
  /** Number of logits. */
  readonly vocabSize: number;
  /** Rows of `partials`. */
  readonly nPartials: number;
  /** What to sample, with a temperature over 0. */
  readonly sampling: ResolvedSampling;
}

/** Records the draw of one token into `drawn`. Logits that are not finite give the key that says so. */
export function sample(recorder: Recorder, operands: Sample): void {
  const { logits, partials, state, masses, bins, listed, drawn, vocabSize, nPartials, sampling } = operands;
  const { temperature, topK, topP, minP, seed } = sampling;
  const shared = {
    vocab_size: vocabSize,
    n_partials: nPartials,
    top_k: topK < vocabSize ? topK : 0,
    min_mass: Math.ceil(minP * 2 ** 31),
  };
  recorder.dispatch(massKernel, { logits, partials, masses, bins }, {
    ...shared,
    scale: 2 * Math.LOG2E / temperature,
  }, { COUNTED: shared.top_k > 0, MIN_P: shared.min_mass > 0 });
  recorder.dispatch(sampleKernel, { logits, partials, masses, state, bins, listed, drawn }, {
    ...shared,
    // A share that rounds to the whole is no filter; one that rounds to nothing keeps the first token.
    top_p: topP < 1 ? Math.max(1, Math.round(topP * 2 ** 32)) % 2 ** 32 : 0,
    seed_low: seed % 2 ** 32,
    seed_high: Math.floor(seed / 2 ** 32),
  }, {});
}
