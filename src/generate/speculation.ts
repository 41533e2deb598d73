/**
 * What a caller may ask of speculation, checked.
 *
 * @module
 */
import type { ResolvedSampling } from "./sampling.ts";

/** Speculation: the text is the same, and may come faster. */
export interface SpeculationOptions {
  /**
   * Guesses up to this many tokens from earlier occurrences of the latest ones in prompt and output, and verifies them
   * in one pass. Pays where a text repeats itself or its prompt. Selection must be greedy, without penalties, biases and
   * `topLogprobs`, and the number under the model's `maxBatch` and `prefillChunk`. @default {0}
   */
  readonly speculate?: number;
}

/**
 * Checks the option against what it goes with.
 *
 * @param mostRows Tokens of one sequence that a decoding pass holds.
 * @returns How many tokens to guess.
 * @throws {RangeError} If the number is out of range, or selection is not greedy.
 */
export function resolveSpeculation(
  { speculate = 0 }: SpeculationOptions,
  sampling: ResolvedSampling,
  mostRows: number,
): number {
  if (!Number.isSafeInteger(speculate) || speculate < 0 || speculate >= mostRows) {
    throw new RangeError(
      `speculate must be a whole number from 0 to ${
        mostRows - 1
      }, for less than maxBatch and prefillChunk, got ${speculate}`,
    );
  }
  const { temperature, repetitionPenalty, presencePenalty, frequencyPenalty, logitBias, topLogprobs } = sampling;
  const hindrance = [
    [temperature > 0, `temperature ${temperature}`] as const,
    [repetitionPenalty !== 1, `repetitionPenalty ${repetitionPenalty}`] as const,
    [presencePenalty !== 0, `presencePenalty ${presencePenalty}`] as const,
    [frequencyPenalty !== 0, `frequencyPenalty ${frequencyPenalty}`] as const,
    [logitBias.length > 0, "logitBias"] as const,
    [topLogprobs !== undefined, "topLogprobs"] as const,
  ].find(([isThere]) => isThere);
  if (speculate > 0 && hindrance !== undefined) {
    throw new RangeError(
      `Cannot speculate with ${
        hindrance[1]
      }: guesses are verified against plain greedy selection; leave out one of the two`,
    );
  }
  return speculate;
}
