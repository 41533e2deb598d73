/**
 * Twin of `wgsl/formats/`: what the stored bits of a weight matrix mean, in f64, where every format is exact.
 *
 * @module
 */
import { GROUP, GROUP_WORDS, scaleWordsPerRow, type WeightFormat } from "../../src/gpu/matrix.ts";

/** Stored bits of (rows, columns) weights, as the GPU has them. */
export interface StoredWeights {
  /** Storage format. */
  readonly format: WeightFormat;
  /** Output extent. */
  readonly rows: number;
  /** Input extent. */
  readonly columns: number;
  /** The weights: (rows, groups, GROUP_WORDS). */
  readonly weight: Uint32Array<ArrayBuffer>;
  /** The scales: (rows, scaleWordsPerRow). */
  readonly scales: Uint32Array<ArrayBuffer>;
}

/** The value of an f16 from its bits. */
export function f16Value(bits: number): number {
  return new Float16Array(Uint16Array.of(bits).buffer)[0]!;
}

/** The value of an f32 from its bits. */
export function f32Value(bits: number): number {
  return new Float32Array(Uint32Array.of(bits).buffer)[0]!;
}

/** All weights: (rows, columns). */
export function decodeWeights(stored: StoredWeights): Float64Array {
  const { rows, columns } = stored;
  const out = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < columns; k++) out[row * columns + k] = weightAt(stored, row, k);
  }
  return out;
}

function weightAt({ format, columns, weight, scales }: StoredWeights, row: number, k: number): number {
  const groups = Math.ceil(columns / GROUP);
  const group = Math.floor(k / GROUP);
  const inside = k % GROUP;
  const words = (row * groups + group) * GROUP_WORDS[format];
  const byte = (index: number) => (weight[words + (index >> 2)]! >>> (8 * (index & 3))) & 0xff;
  const half = (index: number) => (weight[words + (index >> 1)]! >>> (16 * (index & 1))) & 0xffff;
  const scaleRow = row * scaleWordsPerRow(format, groups);
  switch (format) {
    case "f32":
      return f32Value(weight[words + inside]!);
    case "f16":
      return f16Value(half(inside));
    case "bf16":
      return f32Value((half(inside) << 16) >>> 0);
  }
  const nibble = (byte(4 * (inside >> 3) + (inside & 3)) >> (inside & 4)) & 0xf;
  if (format === "q4m") {
    const pair = scales[scaleRow + group]!;
    return f16Value(pair & 0xffff) * nibble + f16Value(pair >>> 16);
  }
  const d = f16Value((scales[scaleRow + (group >> 1)]! >>> (16 * (group & 1))) & 0xffff);
  return format === "q4" ? d * (nibble - 8) : d * ((byte(inside) << 24) >> 24);
}
