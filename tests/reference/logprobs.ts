/** ln softmax of each row of `logits` (targets.length, vocabSize) at its target. */
export function logprobs(logits: ArrayLike<number>, targets: ArrayLike<number>, vocabSize: number): Float64Array {
  return Float64Array.from({ length: targets.length }, (_, row) => {
    const base = row * vocabSize;
    let largest = -Infinity;
    for (let i = 0; i < vocabSize; i++) largest = Math.max(largest, logits[base + i]!);
    let sum = 0;
    for (let i = 0; i < vocabSize; i++) sum += Math.exp(logits[base + i]! - largest);
    return logits[base + targets[row]!]! - largest - Math.log(sum);
  });
}
