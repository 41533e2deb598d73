/**
 * Twin of `wgsl/formats/source*.wgsl`: what the bytes of a checkpoint's rows mean, in f64, where every type is exact.
 *
 * @module
 */
import { type SourceDtype, sourceRowBytes } from "../../src/kernels/store_rows.ts";

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
  const nibble = (at: number) => (view.getUint8(at + inside % 16) >> (inside < 16 ? 0 : 4)) & 15;
  switch (dtype) {
    case "F32":
      return view.getFloat32(rowByte + 4 * k, true);
    case "F16":
      return view.getFloat16(rowByte + 2 * k, true);
    case "BF16":
      return bf16Value(view.getUint16(rowByte + 2 * k, true));
    case "Q8_0":
      return view.getFloat16(block(34), true) * view.getInt8(block(34) + 2 + inside);
    case "Q4_0":
      return view.getFloat16(block(18), true) * (nibble(block(18) + 2) - 8);
    case "Q4_1":
      return view.getFloat16(block(20), true) * nibble(block(20) + 4) + view.getFloat16(block(20) + 2, true);
  }
}

function bf16Value(bits: number): number {
  return new Float32Array(Uint32Array.of(bits * 2 ** 16).buffer)[0]!;
}
