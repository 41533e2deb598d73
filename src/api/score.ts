/**
 * How likely a model finds a text.
 *
 * @module
 */
import { scoreTokens } from "../model/scoring.ts";
import type { Sequence } from "../model/sequence.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";

/** Options of `Model.score`. */
export interface ScoreOptions {
  /** As in `PromptOptions`; token ids are taken as they are. @default {true} */
  readonly addSpecialTokens?: boolean;
  /** Only the log-probabilities of this many tokens, from the end; the head is not computed for others. Default: all. */
  readonly last?: number;
  /** Aborting ends the work within one submit. */
  readonly signal?: AbortSignal;
  /** Told after each chunk how many tokens are done, of how many. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** How likely a model finds a text. */
export interface Score {
  /** Token ids of the text, n of them. */
  readonly tokens: readonly number[];
  /** logprobs[i] = ln p(tokens[i + 1] given the tokens before it): n - 1 numbers, or the last of them. */
  readonly logprobs: Float32Array;
  /** exp(-mean(logprobs)). */
  readonly perplexity: number;
}

/**
 * Scores a text in an empty sequence.
 *
 * @throws As `Model.score`.
 */
export async function scoreText(
  sequence: Sequence,
  tokenizer: Tokenizer,
  input: string | ArrayLike<number>,
  options: ScoreOptions,
): Promise<Score> {
  const { addSpecialTokens = true, signal, onProgress } = options;
  const tokens = Array.from(typeof input === "string" ? tokenizer.encode(input, { addSpecialTokens }) : input);
  if (tokens.length < 2) {
    throw new RangeError(`Cannot score a text of length ${tokens.length}: at least 2 tokens are needed`);
  }
  const { last = tokens.length - 1 } = options;
  if (!Number.isInteger(last) || last < 1 || last >= tokens.length) {
    throw new RangeError(
      `Cannot score the last ${last} of ${tokens.length} tokens: expected 1 to ${tokens.length - 1}`,
    );
  }
  const logprobs = await scoreTokens(sequence, tokens, {
    last,
    signal,
    onProgress: (done) => onProgress?.(done, tokens.length),
  });
  const mean = logprobs.reduce((sum, value) => sum + value, 0) / logprobs.length;
  return { tokens, logprobs, perplexity: Math.exp(-mean) };
}
