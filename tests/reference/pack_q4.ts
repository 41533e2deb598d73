/**
 * Twin of `wgsl/pack_q4.wgsl`: the squared error that the best of the sixteen scales leaves in each group of 32 in a row of
 * `columns` weights, (rows, groups).
 */
export function packQ4Errors(weights: Float64Array, columns: number): Float64Array {
  const errors: number[] = [];
  for (let row = 0; row < weights.length; row += columns) {
    for (let k = 0; k < columns; k += 32) {
      errors.push(smallestError(weights.subarray(row + k, row + Math.min(k + 32, columns))));
    }
  }
  return Float64Array.from(errors);
}

function smallestError(group: Float64Array): number {
  const highest = Math.max(...group, 0);
  const lowest = Math.min(...group, 0);
  const extreme = highest >= -lowest ? highest : lowest;
  if (extreme === 0) return 0;
  let smallest = Infinity;
  for (let divisor = -5.5; divisor >= -9.25; divisor -= 0.25) {
    const ratio = extreme / divisor;
    const d = Math.sign(ratio) * Math.f16round(Math.min(65504, Math.max(2 ** -24, Math.abs(ratio))));
    let error = 0;
    for (const value of group) error += (value - d * Math.min(7, Math.max(-8, Math.round(value / d)))) ** 2;
    smallest = Math.min(smallest, error);
  }
  return smallest;
}
