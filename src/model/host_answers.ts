/**
 * What kernels compute, in f64 on the host, for the few numbers that a load compares.
 *
 * @module
 */

/** The product of two vectors, and the sum of its terms' magnitudes. */
export function dot(a: ArrayLike<number>, b: ArrayLike<number>): { sum: number; size: number } {
  let sum = 0;
  let size = 0;
  for (let i = 0; i < b.length; i++) {
    const term = a[i]! * b[i]!;
    sum += term;
    size += Math.abs(term);
  }
  return { sum, size };
}

/** SiLU, the gate of the MLP. */
export function silu(x: number): number {
  return x / (1 + Math.exp(-x));
}

/** A head after the norm of heads: (headDim). */
export function normalised(values: Float32Array, gain: Float32Array, eps: number): Float64Array {
  const square = values.reduce((sum, value) => sum + value * value, 0) / values.length;
  return Float64Array.from(values, (value, i) => value * gain[i]! / Math.sqrt(square + eps));
}

/** Turns pairs (j, j + rotaryDim / 2) by cosines and sines: (rotaryDim / 2, 2). */
export function rotate(vector: Float32Array, turns: Float32Array): Float64Array {
  const rotated = Float64Array.from(vector);
  const half = turns.length / 2;
  for (let j = 0; j < half; j++) {
    const [cos, sin] = [turns[2 * j]!, turns[2 * j + 1]!];
    rotated[j] = vector[j]! * cos - vector[j + half]! * sin;
    rotated[j + half] = vector[j + half]! * cos + vector[j]! * sin;
  }
  return rotated;
}

/** What a query, (headDim), makes of keys and values: (keys, headDim) each. */
export function attend(query: Float64Array, keys: Float64Array[], values: Float64Array[], scale: number): number[] {
  const weights = keys.map((key) => Math.exp(scale * key.reduce((sum, value, i) => sum + value * query[i]!, 0)));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return Array.from(query, (_, i) => values.reduce((sum, value, at) => sum + weights[at]! * value[i]!, 0) / total);
}
