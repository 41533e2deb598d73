/** Logits after CTRL's repetition penalty on the tokens of `seen`. */
export function penalize(logits: ArrayLike<number>, seen: ReadonlySet<number>, penalty: number): Float64Array {
  return Float64Array.from(
    logits,
    (logit, id) => !seen.has(id) ? logit : logit > 0 ? logit / penalty : logit * penalty,
  );
}

/** A word for each 32 token ids, with a bit set for each id of `tokens`; id 0 is the lowest bit of the first word. */
export function seenWords(tokens: Iterable<number>, vocabSize: number): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(vocabSize / 32));
  for (const id of tokens) words[Math.floor(id / 32)]! |= 1 << id % 32;
  return words;
}
