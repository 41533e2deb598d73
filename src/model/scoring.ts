/**
 * Log-probabilities of tokens that are given.
 *
 * @module
 */
import { logprobs } from "../kernels/logprobs.ts";
import { notFinite } from "./not_finite.ts";
import { prefill } from "./prefill.ts";
import { LOGIT_ROWS } from "./scratch.ts";
import { checkScores } from "./selection_check.ts";
import { requireIds, type Sequence } from "./sequence.ts";

/** What to score, and who hears of it. */
export interface ScoringOptions {
  /** How many log-probabilities are wanted, from the end: at most n - 1. */
  readonly last: number;
  /** Stops within one submit. */
  readonly signal?: AbortSignal | undefined;
  /** Told after each chunk how many tokens are done. */
  readonly onProgress?: (done: number) => void;
}

/**
 * Log-probabilities of tokens, each given those before it.
 *
 * @param sequence An empty sequence, which holds all but the last token afterwards.
 * @param ids n tokens, at least two. The last one is only predicted, so that the context need not have room for it.
 * @returns ln p(ids[i + 1] | ids[0..i]) for the last values of i: (last) f32.
 */
export async function scoreTokens(
  sequence: Sequence,
  ids: ArrayLike<number>,
  { last, signal, onProgress }: ScoringOptions,
): Promise<Float32Array> {
  const { gpu, llama, config: { vocabSize } } = sequence.runtime;
  requireIds(ids, vocabSize);
  await checkScores(gpu);
  sequence.append(Array.from(ids).slice(0, -1));
  await sequence.reserve(ids.length - 1);
  const first = ids.length - 1 - last;
  const targets = Uint32Array.from(ids).subarray(1);
  const scores = new Float32Array(last);
  const firstRowOf = (begin: number, count: number) => Math.min(count, Math.max(0, first - begin));
  await prefill(sequence, sequence.tokens, {
    record(recorder, begin, count) {
      gpu.upload(llama.scratch.targets, targets.subarray(begin, begin + count));
      for (let row = firstRowOf(begin, count); row < count; row += LOGIT_ROWS) {
        const nRows = Math.min(LOGIT_ROWS, count - row);
        llama.logits(recorder, row, nRows);
        const { logits, targets, logprobs: out } = llama.scratch;
        logprobs(recorder, { logits, targets, out, nRows, first: row, vocabSize });
      }
    },
    async finish(begin, count) {
      const firstRow = firstRowOf(begin, count);
      if (firstRow < count) {
        const bytes = await gpu.read(llama.scratch.logprobs, firstRow * 4, (count - firstRow) * 4);
        scores.set(new Float32Array(bytes.buffer), begin + firstRow - first);
      }
      onProgress?.(begin + count);
    },
  }, signal);
  const failed = scores.findIndex((score) => Number.isNaN(score));
  if (failed >= 0) throw await notFinite(sequence, sequence.tokens.slice(0, first + failed + 1));
  return scores;
}
