/**
 * Norm gains and biases: a few kilobytes each, converted on the host.
 *
 * @module
 */
import { halfAt, uninterleaved } from "../kernels/source_rows.ts";
import type { SourceDtype } from "../kernels/store_rows.ts";

/**
 * The f32 values of a vector.
 *
 * @param bytes Its bytes, at any alignment.
 * @param dtype F32, F16 or BF16.
 * @param halfDim Half of headDim where elements stand in GGUF's interleaved order; else 0.
 */
export function readVector(bytes: Uint8Array, dtype: SourceDtype, halfDim: number): Float32Array<ArrayBuffer> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const read = {
    F32: (i: number) => view.getFloat32(4 * i, true),
    F16: (i: number) => halfAt(view, 2 * i),
    BF16: (i: number) => fromBits(view.getUint16(2 * i, true) << 16),
  }[dtype as "F32" | "F16" | "BF16"];
  const values = new Float32Array(bytes.byteLength / (dtype === "F32" ? 4 : 2));
  for (let i = 0; i < values.length; i++) values[uninterleaved(i, halfDim)] = read(i);
  return values;
}

const scratch = new DataView(new ArrayBuffer(4));

function fromBits(bits: number): number {
  scratch.setInt32(0, bits);
  return scratch.getFloat32(0);
}
