/**
 * Feeding a sequence's tokens to the model, chunk by chunk.
 *
 * @module
 */
import type { Recorder } from "../gpu/recorder.ts";
import type { Sequence } from "./sequence.ts";

/** What to do with a chunk of `count` tokens from index `begin` on. */
export interface ChunkWork {
  /** Records what follows the chunk's layers, which leave their rows in the scratch. */
  record(recorder: Recorder, begin: number, count: number): void;
  /** Takes up what was recorded, before another sequence's chunk may begin. */
  finish(begin: number, count: number): Promise<void>;
}

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
  const { runtime, state, cache } = sequence;
  const { gpu, llama, prefillChunk, scheduler } = runtime;
  const stops = AbortSignal.any([runtime.gone, sequence.gone, ...(signal === undefined ? [] : [signal])]);
  const total = tokens.length;
  const regime = runtime.rope.rope.regimeOf(total);
  if (regime !== sequence.regime) sequence.nFed = 0;
  sequence.regime = regime;
  while (sequence.nFed < total) {
    await scheduler.exclusive(async () => {
      stops.throwIfAborted();
      const begin = sequence.nFed;
      const end = Math.min(total, begin + prefillChunk);
      const nTokens = end - begin;
      const ropeTable = await runtime.ropeTable(cache.capacity, total);
      stops.throwIfAborted();
      gpu.upload(llama.scratch.tokens, Uint32Array.from(tokens.slice(begin, end)));
      gpu.upload(state, Uint32Array.of(begin));
      const recorder = gpu.record();
      llama.forward(recorder, [{ tokens: llama.scratch.tokens, nTokens, state, cache, maxKvLength: end, ropeTable }]);
      work.record(recorder, begin, nTokens);
      await scheduler.runChunk(recorder, stops);
      await gpu.settle();
      stops.throwIfAborted();
      sequence.nFed = end;
      await work.finish(begin, nTokens);
    });
  }
}
