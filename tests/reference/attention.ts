/** Shapes of one call. */
export interface AttentionShape {
  nTokens: number;
  nHeads: number;
  nKvHeads: number;
  headDim: number;
  capacity: number;
  position: number;
  /** Keys that a token sees, its own included. Default: all before it. */
  window?: number | undefined;
}

/**
 * Causal attention of `q` (nTokens, nHeads, headDim) over `k` and `v` (nKvHeads, capacity, headDim): softmax over all
 * scores of a row at once, nothing running.
 *
 * @param round Applied to every intermediate: nothing for f64, Math.fround for a naive f32 twin.
 * @returns (nTokens, nHeads, headDim).
 */
export function attention(
  q: ArrayLike<number>,
  k: ArrayLike<number>,
  v: ArrayLike<number>,
  { nTokens, nHeads, nKvHeads, headDim, capacity, position, window = Infinity }: AttentionShape,
  round: (value: number) => number = (value) => value,
): Float64Array {
  const out = new Float64Array(nTokens * nHeads * headDim);
  const scale = round(headDim ** -0.5);
  for (let token = 0; token < nTokens; token++) {
    const length = position + token + 1;
    for (let head = 0; head < nHeads; head++) {
      const base = Math.floor(head / (nHeads / nKvHeads)) * capacity * headDim;
      const row = (token * nHeads + head) * headDim;
      const scores = new Float64Array(length).fill(-Infinity);
      for (let key = Math.max(0, length - window); key < length; key++) {
        let score = 0;
        for (let d = 0; d < headDim; d++) score = round(score + round(q[row + d]! * k[base + key * headDim + d]!));
        scores[key] = round(score * scale);
      }
      const max = scores.reduce((a, b) => Math.max(a, b));
      let sum = 0;
      for (let key = 0; key < length; key++) sum = round(sum + (scores[key] = round(Math.exp(scores[key]! - max))));
      for (let key = 0; key < length; key++) {
        const weight = round(scores[key]! / sum);
        for (let d = 0; d < headDim; d++) {
          out[row + d] = round(out[row + d]! + round(weight * v[base + key * headDim + d]!));
        }
      }
    }
  }
  return out;
}
