/**
 * Norm gains and biases: a few kilobytes each, converted on the host.
 *
 * @module
 */
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
    F16: (i: number) => halfToFloat(view.getUint16(2 * i, true)),
    BF16: (i: number) => fromBits(view.getUint16(2 * i, true) << 16),
  }[dtype as "F32" | "F16" | "BF16"];
  const values = new Float32Array(bytes.byteLength / (dtype === "F32" ? 4 : 2));
  for (let i = 0; i < values.length; i++) {
    const within = halfDim === 0 ? 0 : i % (2 * halfDim);
    values[i - within + Math.floor(within / 2) + (within % 2) * halfDim] = read(i);
  }
  return values;
}

const scratch = new DataView(new ArrayBuffer(4));

function fromBits(bits: number): number {
  scratch.setInt32(0, bits);
  return scratch.getFloat32(0);
}

/** The number that an IEEE half's bits stand for. Browsers lack DataView.getFloat16 here and there. */
function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
