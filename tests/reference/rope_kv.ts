/** Shapes of one call. */
export interface RopeKvShape {
  nTokens: number;
  nHeads: number;
  nKvHeads: number;
  headDim: number;
  rotaryDim: number;
  position: number;
}

/**
 * Rotates queries and keys of `qkv` (nTokens, nHeads + 2 nKvHeads, headDim) by `table` (nPositions, rotaryDim / 2, 2).
 *
 * @returns q (nTokens, nHeads, headDim), k and v (nKvHeads, nTokens, headDim), in f64.
 */
export function ropeKv(
  qkv: Float32Array,
  table: Float32Array,
  { nTokens, nHeads, nKvHeads, headDim, rotaryDim, position }: RopeKvShape,
): { q: Float64Array; k: Float64Array; v: Float64Array } {
  const q = new Float64Array(nTokens * nHeads * headDim);
  const k = new Float64Array(nKvHeads * nTokens * headDim);
  const v = new Float64Array(nKvHeads * nTokens * headDim);
  const rows = nHeads + 2 * nKvHeads;
  const half = rotaryDim / 2;
  for (let token = 0; token < nTokens; token++) {
    for (let row = 0; row < rows; row++) {
      const x = Float64Array.from(qkv.subarray((token * rows + row) * headDim, (token * rows + row + 1) * headDim));
      if (row < nHeads + nKvHeads) {
        for (let j = 0; j < half; j++) {
          const at = 2 * ((position + token) * half + j);
          const [cos, sin, a, b] = [table[at]!, table[at + 1]!, x[j]!, x[j + half]!];
          x[j] = a * cos - b * sin;
          x[j + half] = b * cos + a * sin;
        }
      }
      if (row < nHeads) q.set(x, (token * nHeads + row) * headDim);
      else (row < nHeads + nKvHeads ? k : v).set(x, ((row - nHeads) % nKvHeads * nTokens + token) * headDim);
    }
  }
  return { q, k, v };
}
