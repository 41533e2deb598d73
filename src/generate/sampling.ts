/**
 * How the next token is chosen: what a caller may ask for, checked, and turned into numbers for the kernels.
 *
 * @module
 */
import { MAX_BIASES } from "../kernels/penalize.ts";
import type { ResolvedSampling } from "../kernels/sample.ts";
import { MAX_TOP_LOGPROBS } from "../kernels/top_logprobs.ts";

export type { ResolvedSampling };

/**
 * Choice of the next token. Selection is greedy unless one of `temperature`, `topK`, `topP`, `minP` or `seed` is
 * given. The order is: bias, penalties, temperature, `topK`, `topP`, `minP`, then a draw in proportion to what is
 * left; among equal logits the lower token id comes first.
 */
export interface SamplingOptions {
  /**
   * Divides the logits: below 1 sharpens, above 1 flattens. 0 takes the most probable token, whatever the other
   * options say; otherwise from 0.0001 to 100. Default 0, or 1 if `topK`, `topP`, `minP` or `seed` is given.
   */
  readonly temperature?: number;
  /** Keeps this many of the most probable tokens, a whole number from 1. Default: all. */
  readonly topK?: number;
  /** Keeps the fewest tokens whose probabilities sum to this share, over 0 and up to 1. Default 1, which is all. */
  readonly topP?: number;
  /** Keeps tokens at least this share as probable as the most probable one, from 0 to 1. Default 0, which is all. */
  readonly minP?: number;
  /**
   * Divides positive and multiplies negative logits of tokens that are in prompt or output, as CTRL (Keskar et al.,
   * 2019) and transformers do; from 0.01 to 100. Default 1, which changes nothing.
   */
  readonly repetitionPenalty?: number;
  /**
   * Taken from the logits of tokens that the generation has made, however often; from -2 to 2, as the OpenAI API has
   * it. Default 0.
   */
  readonly presencePenalty?: number;
  /** Taken from the logits of tokens that the generation has made, for each time; from -2 to 2. Default 0. */
  readonly frequencyPenalty?: number;
  /** Added to the logits of tokens, by id; each from -100, which all but bans one, to 100. At most 1024. Default none. */
  readonly logitBias?: Readonly<Record<number, number>>;
  /** Makes a run repeatable: the same seed draws the same tokens. A safe integer from 0. Default: a random one. */
  readonly seed?: number;
  /**
   * Tells the log-probability of each token, and those of this many of the likeliest, from 0 to 20: what the model
   * itself gives, before bias, penalties, temperature and filters. Default: none are told.
   */
  readonly topLogprobs?: number;
}

/**
 * Checks options and fills in their defaults.
 *
 * @param options What the caller asked for.
 * @param vocabSize Token ids of a bias must be below it. Default: any are taken.
 * @returns What the kernels get; `temperature` 0 is greedy.
 * @throws {TypeError} If an option is not a number.
 * @throws {RangeError} If an option is NaN or out of its range.
 */
export function resolveSampling(options: SamplingOptions = {}, vocabSize: number = 2 ** 32): ResolvedSampling {
  const { temperature, topK, topP, minP, repetitionPenalty, presencePenalty, frequencyPenalty, seed, topLogprobs } =
    options;
  check(
    "temperature",
    temperature,
    "0 (greedy) or from 0.0001 to 100",
    (value) => value === 0 || value >= 1e-4 && value <= 100,
  );
  check(
    "topK",
    topK,
    "a whole number from 1 (leave it out to keep all tokens)",
    (value) => Number.isSafeInteger(value) && value >= 1,
  );
  check("topP", topP, "over 0 and at most 1", (value) => value > 0 && value <= 1);
  check("minP", minP, "from 0 to 1", (value) => value >= 0 && value <= 1);
  check("repetitionPenalty", repetitionPenalty, "from 0.01 to 100", (value) => value >= 0.01 && value <= 100);
  check("presencePenalty", presencePenalty, "from -2 to 2", (value) => Math.abs(value) <= 2);
  check("frequencyPenalty", frequencyPenalty, "from -2 to 2", (value) => Math.abs(value) <= 2);
  check(
    "seed",
    seed,
    `a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`,
    (value) => Number.isSafeInteger(value) && value >= 0,
  );
  check(
    "topLogprobs",
    topLogprobs,
    `a whole number from 0 to ${MAX_TOP_LOGPROBS}`,
    (value) => Number.isInteger(value) && value >= 0 && value <= MAX_TOP_LOGPROBS,
  );
  const isAsked = [topK, topP, minP, seed].some((value) => value !== undefined);
  return {
    logitBias: biasesOf(options.logitBias, vocabSize),
    repetitionPenalty: repetitionPenalty ?? 1,
    presencePenalty: presencePenalty ?? 0,
    frequencyPenalty: frequencyPenalty ?? 0,
    temperature: temperature ?? (isAsked ? 1 : 0),
    topK: topK ?? 0,
    topP: topP ?? 1,
    minP: minP ?? 0,
    seed: seed ?? crypto.getRandomValues(new Uint32Array(1))[0]!,
    ...(topLogprobs === undefined ? {} : { topLogprobs }),
  };
}

function biasesOf(logitBias: unknown, vocabSize: number): [id: number, bias: number][] {
  if (logitBias === undefined) return [];
  if (typeof logitBias !== "object" || logitBias === null || Array.isArray(logitBias)) {
    throw new TypeError(`logitBias must be an object of token ids and numbers, got ${typeof logitBias}`);
  }
  const entries = Object.entries(logitBias);
  if (entries.length > MAX_BIASES) {
    throw new RangeError(`logitBias must have at most ${MAX_BIASES} entries, got ${entries.length}`);
  }
  return entries.map(([key, bias]) => {
    if (!/^(0|[1-9]\d{0,9})$/.test(key) || Number(key) >= vocabSize) {
      throw new RangeError(`logitBias must have token ids from 0 to ${vocabSize - 1} as keys, got ${quote(key)}`);
    }
    check(`logitBias[${key}]`, bias ?? null, "from -100 to 100", (value) => Math.abs(value) <= 100);
    return [Number(key), bias];
  });
}

function check(name: string, value: unknown, wanted: string, isValid: (value: number) => boolean): void {
  if (value === undefined) return;
  if (typeof value !== "number") {
    throw new TypeError(
      `${name} must be a number, got ${value === null ? "null" : typeof value} ${quote(value)}`.trim(),
    );
  }
  if (!isValid(value)) throw new RangeError(`${name} must be ${wanted}, got ${value}`);
}

/** A short form of what was given, for a message. */
function quote(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}...` : value);
  return typeof value === "boolean" || typeof value === "bigint" ? String(value) : "";
}
