/** silu(gate) * up for rows of gate then up (nTokens, 2, dim): (nTokens, dim). */
export function siluMul(gateUp: ArrayLike<number>, nTokens: number, dim: number): Float64Array {
  const out = new Float64Array(nTokens * dim);
  for (let t = 0; t < nTokens; t++) {
    for (let i = 0; i < dim; i++) {
      const gate = gateUp[t * 2 * dim + i]!;
      out[t * dim + i] = gate / (1 + Math.exp(-gate)) * gateUp[t * 2 * dim + dim + i]!;
    }
  }
  return out;
}
