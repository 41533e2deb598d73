/**
 * Feeding a sequence's tokens to the model, chunk by chunk.
 *
 * @module
 */
import type { Recorder } from "../gpu/recorder.ts";
import type { Sequence } from "./sequence.ts";

/** What to do with the chunks. */
export interface PrefillOptions {
  /** Stops within one submit. */
  readonly signal?: AbortSignal | undefined;
  /** Runs a chunk of `count` tokens from index `begin` on. Without it, the last chunk leaves its logits. */
  readonly each?: (recorder: Recorder, begin: number, count: number) => Promise<void>;
}

/**
 * Feeds those of the tokens that are not cached; all, where the cached ones were rotated by the frequencies of another
 * length.
 *
 * @param sequence Where keys and values go; it has room for them.
 * @param tokens The sequence's tokens, with those that a generation has selected since.
 */
export async function prefill(
  sequence: Sequence,
  tokens: readonly number[],
  { signal, each }: PrefillOptions,
): Promise<void> {
  const { runtime, state, cache } = sequence;
  const { gpu, llama, prefillChunk } = runtime;
  const total = tokens.length;
  const regime = runtime.rope.rope.regimeOf(total);
  if (regime !== sequence.regime) sequence.nFed = 0;
  sequence.regime = regime;
  const ropeTable = await runtime.ropeTable(cache.capacity, total);
  while (sequence.nFed < total) {
    const begin = sequence.nFed;
    const end = Math.min(total, begin + prefillChunk);
    const nTokens = end - begin;
    gpu.upload(llama.scratch.tokens, Uint32Array.from(tokens.slice(begin, end)));
    gpu.upload(state, Uint32Array.of(begin));
    const recorder = gpu.record();
    llama.forward(recorder, { tokens: llama.scratch.tokens, nTokens, state, cache, maxKvLength: end, ropeTable });
    if (each !== undefined) {
      await each(recorder, begin, nTokens);
    } else {
      if (end === total) llama.logits(recorder, nTokens - 1, 1);
      await gpu.run(recorder, signal);
    }
    sequence.nFed = end;
  }
  await gpu.settle();
}
