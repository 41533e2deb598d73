/**
 * Twin of `wgsl/formats/source*.wgsl`: what the bytes of a checkpoint's rows mean, in f64, where every type is exact.
 *
 * @module
 */
import { SOURCE_BLOCKS, type SourceDtype, sourceRowBytes } from "./store_rows.ts";

/** The weights of rows that lie one after the other: (rows, columns). */
export function decodeRows(bytes: Uint8Array, dtype: SourceDtype, columns: number): Float64Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const rowBytes = sourceRowBytes(dtype, columns);
  const rows = Math.floor(bytes.length / rowBytes);
  const out = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < columns; k++) out[row * columns + k] = weightAt(view, dtype, row * rowBytes, k);
  }
  return out;
}

function weightAt(view: DataView, dtype: SourceDtype, rowByte: number, k: number): number {
  const inside = k % 32;
  const block = (bytes: number) => rowByte + Math.floor(k / 32) * bytes;
  const bit = (at: number) => (view.getUint32(at, true) >>> inside) & 1;
  const nibble = (at: number) => (view.getUint8(at + inside % 16) >> (inside < 16 ? 0 : 4)) & 15;
  switch (dtype) {
    case "F32":
      return view.getFloat32(rowByte + 4 * k, true);
    case "F16":
      return halfAt(view, rowByte + 2 * k);
    case "BF16":
      return bf16Value(view.getUint16(rowByte + 2 * k, true));
    case "Q8_0":
      return halfAt(view, block(34)) * view.getInt8(block(34) + 2 + inside);
    case "Q4_0":
      return halfAt(view, block(18)) * (nibble(block(18) + 2) - 8);
    case "Q4_1":
      return halfAt(view, block(20)) * nibble(block(20) + 4) + halfAt(view, block(20) + 2);
    case "Q5_0":
      return halfAt(view, block(22)) * (nibble(block(22) + 6) + 16 * bit(block(22) + 2) - 16);
    case "Q5_1":
      return halfAt(view, block(24)) * (nibble(block(24) + 8) + 16 * bit(block(24) + 4)) +
        halfAt(view, block(24) + 2);
    default:
      return weightOfBlock(view, dtype, rowByte, k);
  }
}

/** A weight of a row in blocks of 256, by the layouts of ggml's block_q2_K to block_q6_K. */
function weightOfBlock(
  view: DataView,
  dtype: "Q2_K" | "Q3_K" | "Q4_K" | "Q5_K" | "Q6_K",
  rowByte: number,
  k: number,
): number {
  const at = rowByte + Math.floor(k / 256) * SOURCE_BLOCKS[dtype].bytes;
  const byte = (offset: number) => view.getUint8(at + offset);
  const half = (offset: number) => halfAt(view, at + offset);
  const group = Math.floor(k % 256 / 32);
  const sixteen = Math.floor(k % 256 / 16);
  const l = k % 32;
  const upper = group >> 2;
  // Codes of 2 bits: 32 bytes for each half of the block, from the lowest bits on one group after the other.
  const pair = (offset: number) => (byte(offset + 32 * upper + l) >> (2 * (group & 3))) & 3;
  // Codes of 4 bits: 32 bytes for two groups, the lower nibbles being the first one's.
  const nibble = (offset: number) => (byte(offset + 32 * (group >> 1) + l) >> (4 * (group & 1))) & 15;
  switch (dtype) {
    case "Q2_K": {
      const scale = byte(sixteen);
      return half(80) * (scale & 15) * pair(16) - half(82) * (scale >> 4);
    }
    case "Q3_K": {
      const low = byte(96 + sixteen % 8) >> (sixteen < 8 ? 0 : 4);
      const scale = (low & 15) | (((byte(104 + sixteen % 4) >> (2 * (sixteen >> 2))) & 3) << 4);
      const third = (byte(l) >> group) & 1;
      return half(108) * (scale - 32) * (pair(32) + 4 * third - 4);
    }
    case "Q6_K": {
      const scale = view.getInt8(at + 192 + sixteen);
      const low = (byte(64 * upper + 32 * (group & 1) + l) >> (4 * ((group & 3) >> 1))) & 15;
      return half(208) * scale * (low + 16 * pair(128) - 32);
    }
    default: {
      const [s, m] = group < 4 ? [byte(4 + group) & 63, byte(8 + group) & 63] : [
        (byte(8 + group) & 15) | ((byte(group) >> 6) << 4),
        (byte(8 + group) >> 4) | ((byte(4 + group) >> 6) << 4),
      ];
      const code = dtype === "Q4_K" ? nibble(16) : nibble(48) + 16 * ((byte(16 + l) >> group) & 1);
      return half(0) * s * code - half(2) * m;
    }
  }
}

function bf16Value(bits: number): number {
  return new Float32Array(Uint32Array.of(bits * 2 ** 16).buffer)[0]!;
}

/** The number that an IEEE half's bits stand for. Browsers lack DataView.getFloat16 here and there. */
function halfAt(view: DataView, byte: number): number {
  const bits = view.getUint16(byte, true);
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Where a row, or an element of a bias, belongs whose heads are stored as interleaved rotation pairs. */
export function uninterleaved(row: number, halfDim: number): number {
  const within = halfDim === 0 ? 0 : row % (2 * halfDim);
  return row - within + Math.floor(within / 2) + (within % 2) * halfDim;
}
