/**
 * Norm gains and biases: a few kilobytes each, converted on the host.
 *
 * @module
 */
import { decodeRows, uninterleaved } from "../kernels/source_rows.ts";
import type { SourceDtype } from "../kernels/store_rows.ts";

/**
 * The f32 values of a vector.
 *
 * @param bytes Its bytes, at any alignment.
 * @param dtype F32, F16 or BF16.
 * @param halfDim Half of headDim where elements stand in GGUF's interleaved order; else 0.
 */
export function readVector(bytes: Uint8Array, dtype: SourceDtype, halfDim: number): Float32Array<ArrayBuffer> {
  const nValues = bytes.byteLength / (dtype === "F32" ? 4 : 2);
  const values = new Float32Array(nValues);
  for (const [i, value] of decodeRows(bytes, dtype, nValues).entries()) values[uninterleaved(i, halfDim)] = value;
  return values;
}
