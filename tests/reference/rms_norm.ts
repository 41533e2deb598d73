/** Rows of `x` (nRows, dim) divided by their root mean square, times `weight` (dim). */
export function rmsNorm(x: Float64Array, weight: Float64Array, dim: number, eps: number): Float64Array {
  const out = new Float64Array(x.length);
  for (let row = 0; row < x.length; row += dim) {
    let sum = 0;
    for (let i = 0; i < dim; i++) sum += x[row + i]! ** 2;
    const scale = 1 / Math.sqrt(sum / dim + eps);
    for (let i = 0; i < dim; i++) out[row + i] = weight[i]! * x[row + i]! * scale;
  }
  return out;
}
