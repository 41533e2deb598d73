/** The rows of `table` (vocab, columns) that `tokens` name: (tokens.length, columns). */
export function embed(tokens: ArrayLike<number>, table: Float64Array, columns: number): Float64Array {
  const out = new Float64Array(tokens.length * columns);
  for (let t = 0; t < tokens.length; t++) {
    out.set(table.subarray(tokens[t]! * columns, (tokens[t]! + 1) * columns), t * columns);
  }
  return out;
}
