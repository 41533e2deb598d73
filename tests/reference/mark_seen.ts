/** A word for each 32 token ids, with a bit set for each id of `tokens`; id 0 is the lowest bit of the first word. */
export function markSeen(tokens: Iterable<number>, vocabSize: number): Uint32Array {
  const words = new Uint32Array(Math.ceil(vocabSize / 32));
  for (const id of tokens) words[Math.floor(id / 32)]! |= 1 << id % 32;
  return words;
}
