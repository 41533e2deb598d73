/**
 * Rows of a matrix, read back from the GPU in pieces.
 *
 * @module
 */
import type { Gpu } from "../gpu/device.ts";
import type { Matrix } from "../gpu/matrix.ts";
import { storedRowBytes } from "../kernels/store_rows.ts";

/** Bytes that are read at a time. */
const PIECE_BYTES = 2 ** 23;

/**
 * Reads rows as they are stored, in order.
 *
 * @param which The buffer of each part.
 * @param firstRow First row of the matrix.
 * @param rows How many.
 * @param keepBytes Bytes of each row to keep, where the rest is padding. Default all.
 */
export async function* matrixRows(
  gpu: Gpu,
  matrix: Matrix,
  which: "weight" | "scales",
  firstRow: number,
  rows: number,
  keepBytes?: number,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for (const part of matrix.parts) {
    const end = Math.min(firstRow + rows, part.rowBegin + part.rows);
    const rowBytes = storedRowBytes(part, which);
    const most = Math.max(1, Math.floor(PIECE_BYTES / rowBytes));
    for (let row = Math.max(firstRow, part.rowBegin); row < end; row += most) {
      const count = Math.min(most, end - row);
      const bytes = await gpu.read(part[which], (row - part.rowBegin) * rowBytes, count * rowBytes);
      yield keepBytes === undefined || keepBytes === rowBytes ? bytes : cut(bytes, rowBytes, keepBytes);
    }
  }
}

/** The beginnings of rows. */
function cut(bytes: Uint8Array, rowBytes: number, keepBytes: number): Uint8Array<ArrayBuffer> {
  const kept = new Uint8Array(bytes.length / rowBytes * keepBytes);
  for (let from = 0, to = 0; from < bytes.length; from += rowBytes, to += keepBytes) {
    kept.set(bytes.subarray(from, from + keepBytes), to);
  }
  return kept;
}
