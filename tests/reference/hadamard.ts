/**
 * Hadamard transform of each row of `x` (rows, headDim) in blocks of the largest power of two that divides headDim, by
 * its definition: y_i = sum_j (-1)^popcount(i & j) x_j / sqrt(block).
 *
 * @param round Applied to every intermediate: nothing for f64, Math.fround for a naive f32 twin.
 * @returns (rows, headDim).
 */
export function hadamard(
  x: ArrayLike<number>,
  headDim: number,
  round: (value: number) => number = (value) => value,
): Float64Array {
  let block = 1;
  while (headDim % (2 * block) === 0) block *= 2;
  const y = new Float64Array(x.length);
  const norm = round(Math.sqrt(block));
  for (let at = 0; at < x.length; at += block) {
    for (let i = 0; i < block; i++) {
      let sum = 0;
      for (let j = 0; j < block; j++) {
        let parity = 0;
        for (let bits = i & j; bits > 0; bits &= bits - 1) parity ^= 1;
        sum = round(sum + (parity === 1 ? -x[at + j]! : x[at + j]!));
      }
      y[at + i] = round(sum / norm);
    }
  }
  return y;
}
