/**
 * How the next token is chosen: what a caller may ask for, checked, and turned into numbers for the kernels.
 *
 * @module
 */
import type { ResolvedSampling } from "../kernels/sample.ts";

export type { ResolvedSampling };

/**
 * Choice of the next token. Selection is greedy unless one of `temperature`, `topK`, `topP`, `minP` or `seed` is
 * given. The order is: repetition penalty, temperature, `topK`, `topP`, `minP`, then a draw in proportion to what is
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
  /** Makes a run repeatable: the same seed draws the same tokens. A safe integer from 0. Default: a random one. */
  readonly seed?: number;
}

/**
 * Checks options and fills in their defaults.
 *
 * @param options What the caller asked for.
 * @returns What the kernels get; `temperature` 0 is greedy.
 * @throws {TypeError} If an option is not a number.
 * @throws {RangeError} If an option is NaN or out of its range.
 */
export function resolveSampling(options: SamplingOptions = {}): ResolvedSampling {
  const { temperature, topK, topP, minP, repetitionPenalty, seed } = options;
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
  check(
    "seed",
    seed,
    `a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`,
    (value) => Number.isSafeInteger(value) && value >= 0,
  );
  const isAsked = [topK, topP, minP, seed].some((value) => value !== undefined);
  return {
    repetitionPenalty: repetitionPenalty ?? 1,
    temperature: temperature ?? (isAsked ? 1 : 0),
    topK: topK ?? 0,
    topP: topP ?? 1,
    minP: minP ?? 0,
    seed: seed ?? crypto.getRandomValues(new Uint32Array(1))[0]!,
  };
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
