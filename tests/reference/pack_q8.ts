/**
 * Twin of `wgsl/pack_q8.wgsl`: the f16 scale of each group of 32 in a row of `columns` weights, (rows, groups).
 * The quantised weight is the multiple of the scale that is nearest.
 */
export function packQ8Scales(weights: Float64Array, columns: number): Float64Array {
  const groups = Math.ceil(columns / 32);
  const rows = weights.length / columns;
  const scales = new Float64Array(rows * groups);
  for (let i = 0; i < weights.length; i++) {
    const group = Math.floor(i / columns) * groups + Math.floor(i % columns / 32);
    scales[group] = Math.max(scales[group]!, Math.abs(weights[i]!));
  }
  return scales.map((largest) => largest === 0 ? 0 : Math.f16round(Math.max(largest / 127, 2 ** -24)));
}
