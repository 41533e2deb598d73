/**
 * Feeding a sequence's tokens to the model, chunk by chunk.
 *
 * @module
 */
import type { ChunkWork } from "./chunk_queue.ts";
import type { Sequence } from "./sequence.ts";

/**
 * Feeds those of the tokens that are not cached; all, where the cached ones were rotated by the frequencies of another
 * length. Between two chunks other sequences have their turn, and between two submits those that decode.
 *
 * @param sequence Where keys and values go; it has room for them.
 * @param tokens The sequence's tokens, with those that a generation has selected since.
 * @param signal Stops within one submit, as does disposing the sequence.
 */
export async function prefill(
  sequence: Sequence,
  tokens: readonly number[],
  work: ChunkWork,
  signal?: AbortSignal,
): Promise<void> {
  const { runtime } = sequence;
  const stops = AbortSignal.any([runtime.gone, sequence.gone, ...(signal === undefined ? [] : [signal])]);
  const regime = runtime.rope.rope.regimeOf(tokens.length);
  if (regime !== sequence.regime) sequence.nFed = 0;
  sequence.regime = regime;
  while (sequence.nFed < tokens.length) await runtime.chunks.feed({ sequence, tokens, work, stops });
}
