/** Operands of the twins of a matrix product. */
export interface MatmulOperands {
  /** Vectors: (nRows, columns). */
  readonly x: ArrayLike<number>;
  /** Weights: (rows, columns). */
  readonly w: ArrayLike<number>;
  /** Number of vectors. */
  readonly nRows: number;
  /** Output extent. */
  readonly rows: number;
  /** Input extent. */
  readonly columns: number;
  /** Added to every vector's output: (rows). Default none. */
  readonly bias?: ArrayLike<number>;
  /** Added to the output: (nRows, rows). Default none. */
  readonly residual?: ArrayLike<number>;
}

/** out[r][o] = sum_k w[o][k] x[r][k] + bias[o] + residual[r][o], in f64: (nRows, rows). */
export function matmul({ x, w, nRows, rows, columns, bias, residual }: MatmulOperands): Float64Array {
  const out = new Float64Array(nRows * rows);
  for (let r = 0; r < nRows; r++) {
    for (let o = 0; o < rows; o++) {
      let sum = 0;
      for (let k = 0; k < columns; k++) sum += w[o * columns + k]! * x[r * columns + k]!;
      out[r * rows + o] = sum + (bias?.[o] ?? 0) + (residual?.[r * rows + o] ?? 0);
    }
  }
  return out;
}

/** The same with every product and sum rounded to f32: (nRows, rows). */
export function naiveMatmul({ x, w, nRows, rows, columns, bias, residual }: MatmulOperands): Float32Array {
  const out = new Float32Array(nRows * rows);
  for (let r = 0; r < nRows; r++) {
    for (let o = 0; o < rows; o++) {
      let sum = 0;
      for (let k = 0; k < columns; k++) {
        sum = Math.fround(sum + Math.fround(Math.fround(w[o * columns + k]!) * x[r * columns + k]!));
      }
      out[r * rows + o] = Math.fround(Math.fround(sum + (bias?.[o] ?? 0)) + (residual?.[r * rows + o] ?? 0));
    }
  }
  return out;
}
