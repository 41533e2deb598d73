/**
 * Twin of `wgsl/formats/`: what the stored bits of a weight matrix mean, in f64, where every format is exact.
 *
 * @module
 */
import { GROUP, GROUP_WORDS, groupsPerRow, scaleWordsPerRow, type WeightFormat } from "../../src/gpu/matrix.ts";

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
  const groups = groupsPerRow(format, columns);
  const group = Math.floor(k / GROUP);
  const inside = k % GROUP;
  const words = (row * groups + group) * GROUP_WORDS[format];
  const byte = (index: number) => (weight[words + (index >> 2)]! >>> (8 * (index & 3))) & 0xff;
  const halfWord = (index: number) => (weight[words + (index >> 1)]! >>> (16 * (index & 1))) & 0xffff;
  const scaleRow = row * scaleWordsPerRow(format, groups);
  switch (format) {
    case "f32":
      return f32Value(weight[words + inside]!);
    case "f16":
      return f16Value(halfWord(inside));
    case "bf16":
      return f32Value((halfWord(inside) << 16) >>> 0);
  }
  /** Words of the scales of the block of `size` groups that the weight is in. */
  const blockOf = (size: number, words: number) => {
    const first = scaleRow + Math.floor(group / size) * words;
    return (index: number) => scales[first + index]!;
  };
  const low = (word: number) => f16Value(word & 0xffff);
  const high = (word: number) => f16Value(word >>> 16);
  // Place of the weight among four neighbours, and theirs in the group: see wgsl/shared/codes.wgsl.
  const [b, j] = [inside & 3, inside >> 2];
  const single = (word: number) => (word >>> (8 * b + j)) & 1;
  const pair = (words: readonly number[]) => (words[j >> 2]! >>> (8 * b + 2 * (j & 3))) & 3;
  const pairs = [weight[words]!, weight[words + 1]!];
  const half = inside >> 4;
  const byteOf = (word: number, index: number) => (word >>> (8 * index)) & 0xff;
  if (format === "q2k") {
    const block = blockOf(8, 5);
    const s = byteOf(block(1 + ((group & 7) >> 1)), 2 * (group & 1) + half);
    return low(block(0)) * (s & 15) * pair(pairs) - high(block(0)) * (s >> 4);
  }
  if (format === "q3k") {
    const block = blockOf(8, 12);
    const s = (block((group & 7) >> 1) >>> (12 * (group & 1) + 6 * half)) & 63;
    const d = f16Value(byteOf(block(0), 3) | (byteOf(block(1), 3) << 8));
    return d * (s - 32) * (pair(pairs) + 4 * single(block(4 + (group & 7))) - 4);
  }
  const nibble = (byte(4 * (inside >> 3) + (inside & 3)) >> (inside & 4)) & 0xf;
  if (format === "q4m") {
    const scale = scales[scaleRow + group]!;
    return low(scale) * nibble + high(scale);
  }
  if (format === "q4k" || format === "q5k") {
    const block = blockOf(8, format === "q4k" ? 5 : 13);
    const s = block(1 + ((group & 7) >> 1)) >>> (16 * (group & 1));
    const code = format === "q4k" ? nibble : nibble + 16 * single(block(5 + (group & 7)));
    return low(block(0)) * byteOf(s, 0) * code - high(block(0)) * byteOf(s, 1);
  }
  if (format === "q6k") {
    const block = blockOf(8, 21);
    const s = byteOf(block(1 + ((group & 7) >> 1)), 2 * (group & 1) + half) << 24 >> 24;
    const upper = 5 + 2 * (group & 7);
    return low(block(0)) * s * (nibble + 16 * pair([block(upper), block(upper + 1)]) - 32);
  }
  if (format === "q5m") {
    const block = blockOf(1, 2);
    return low(block(1)) * (nibble + 16 * single(block(0))) + high(block(1));
  }
  if (format === "q5") {
    const block = blockOf(2, 3);
    const d = (group & 1) === 0 ? low(block(2)) : high(block(2));
    return d * (nibble + 16 * single(block(group & 1)) - 16);
  }
  const d = f16Value((scales[scaleRow + (group >> 1)]! >>> (16 * (group & 1))) & 0xffff);
  return format === "q4" ? d * (nibble - 8) : d * ((byte(inside) << 24) >> 24);
}
