/** A sequence on the GPU: the first three words of its state, its next input and its output so far. */
export interface Sequence {
  /** Tokens in the cache. */
  position: number;
  /** 1 after a stop id. */
  done: number;
  /** Tokens generated. */
  count: number;
  /** Next input. */
  token: number;
  /** Generated ids, by count mod length. */
  ring: number[];
}

/** Takes `id` as the next token of a sequence, unless it is done. */
export function advance(sequence: Sequence, id: number, stopIds: readonly number[], nTokens: number): void {
  if (sequence.done !== 0) return;
  sequence.token = id;
  sequence.ring[sequence.count % sequence.ring.length] = id;
  sequence.position += nTokens;
  sequence.count++;
  if (stopIds.includes(id)) sequence.done = 1;
}
