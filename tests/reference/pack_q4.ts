/**
 * Twin of `wgsl/pack_q4.wgsl`: the squared error that the best of the fifteen candidates leaves in each group of 32 in a
 * row of `columns` weights, (rows, groups). A weight halfway between two integers may go to either, whatever others do, so
 * that each counts with the worse of both.
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
  for (let divisor = -5.625; divisor >= -9.125; divisor -= 0.25) {
    const [above, below] = [1 + 1e-6, 1 - 1e-6].map((nudge) => integers(group, nudge * divisor / extreme)) as [
      Float64Array,
      Float64Array,
    ];
    const d = fittingScale(group, above);
    const error = group.reduce((sum, w, i) => sum + Math.max((w - d * above[i]!) ** 2, (w - d * below[i]!) ** 2), 0);
    smallest = Math.min(smallest, error);
  }
  return smallest;
}

/** The integers nearest to w * inverse. */
function integers(group: Float64Array, inverse: number): Float64Array {
  return group.map((w) => Math.min(7, Math.max(-8, Math.round(w * inverse))));
}

/** The scale of least squared error, in f16. With integers that differ in halves alone, a scale of their own is better. */
function fittingScale(group: Float64Array, q: Float64Array): number {
  const product = q.reduce((sum, value, i) => sum + value * group[i]!, 0);
  const ratio = product / q.reduce((sum, value) => sum + value * value, 0);
  return Math.sign(ratio) * Math.f16round(Math.min(65504, Math.max(2 ** -24, Math.abs(ratio))));
}
