/** Cosine and sine of every position and pair in f64, (nPositions, nPairs, 2), from angles rounded to f32. */
export function ropeTable(
  invFreq: Float32Array,
  attentionFactor: number,
  firstPosition: number,
  nPositions: number,
): Float64Array {
  const table = new Float64Array(nPositions * invFreq.length * 2);
  for (let row = 0; row < nPositions; row++) {
    invFreq.forEach((frequency, j) => {
      const angle = Math.fround((firstPosition + row) * frequency);
      table[2 * (row * invFreq.length + j)] = Math.cos(angle) * attentionFactor;
      table[2 * (row * invFreq.length + j) + 1] = Math.sin(angle) * attentionFactor;
    });
  }
  return table;
}
