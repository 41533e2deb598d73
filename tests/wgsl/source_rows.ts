/**
 * Random rows of every source type for the kernels that store weights, and the stored result read back.
 *
 * @module
 */
import { assert } from "@std/assert";
import { createMatrix, disposeMatrix, GROUP, groupsPerRow, type WeightFormat } from "../../src/gpu/matrix.ts";
import { SOURCE_BLOCKS, type SourceDtype, sourceRowBytes, storeRows } from "../../src/kernels/store_rows.ts";
import { decodeWeights, type StoredWeights } from "../reference/weight_formats.ts";
import { gpu, random } from "./fixture.ts";

/** Rows and columns: whole groups and broken ones, odd numbers of groups, one row and many. */
export const SHAPES: readonly (readonly [number, number])[] = [[1, 40], [97, 96], [1025, 32], [8, 576], [3, 1000], [
  5,
  45,
]];

/** The shapes that `dtype` can have: blocks are never broken. */
export function shapesOf(dtype: SourceDtype): readonly (readonly [number, number])[] {
  if (SOURCE_BLOCKS[dtype].weights === 256) return [[1, 256], [97, 512], [5, 1280]];
  return SHAPES.filter(([, columns]) => columns % SOURCE_BLOCKS[dtype].weights === 0);
}

/** Offsets in a block of the f16 that scale it, and sizes of theirs that make weights of about 0.25. */
const HALVES: Readonly<Partial<Record<SourceDtype, readonly (readonly [offset: number, size: number])[]>>> = {
  Q8_0: [[0, 2 ** -9]],
  Q5_1: [[0, 2 ** -6], [2, 2 ** -2]],
  Q5_0: [[0, 2 ** -6]],
  Q4_1: [[0, 2 ** -5], [2, 2 ** -2]],
  Q4_0: [[0, 2 ** -5]],
  Q6_K: [[208, 2 ** -14]],
  Q5_K: [[0, 2 ** -13], [2, 2 ** -8]],
  Q4_K: [[0, 2 ** -12], [2, 2 ** -8]],
  Q3_K: [[108, 2 ** -9]],
  Q2_K: [[80, 2 ** -8], [82, 2 ** -6]],
};

/** Random rows with weights of about [-0.25, 0.25]; a first row of zeros where there are several. */
export function randomRows(dtype: SourceDtype, rows: number, columns: number, seed: number): Uint8Array<ArrayBuffer> {
  const next = random(seed);
  const rowBytes = sourceRowBytes(dtype, columns);
  const bytes = new Uint8Array(rows * rowBytes);
  const view = new DataView(bytes.buffer);
  const { bytes: step } = SOURCE_BLOCKS[dtype];
  for (let at = rows > 1 ? rowBytes : 0; at < bytes.length; at += step) {
    // A cube has the long tail that real weights have.
    const value = next() ** 3 / 4;
    if (dtype === "F32") view.setFloat32(at, value, true);
    else if (dtype === "F16") view.setFloat16(at, value, true);
    else if (dtype === "BF16") view.setUint16(at, new Uint32Array(Float32Array.of(value).buffer)[0]! >>> 16, true);
    else {
      for (let i = 0; i < step; i++) bytes[at + i] = (next() + 1) * 128;
      for (const [offset, size] of HALVES[dtype]!) view.setFloat16(at + offset, next() * size, true);
    }
  }
  return bytes;
}

/** How to store rows. */
export interface StoreCase {
  /** Type of the source. */
  readonly dtype: SourceDtype;
  /** Bytes of the rows. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Weights of a row. */
  readonly columns: number;
  /** Format of the matrix. */
  readonly format: WeightFormat;
  /** Where the rows begin in the piece, in bytes. Default 0. */
  readonly sourceByte?: number;
  /** Rows of the matrix before and after the tensor's own. Default 0. */
  readonly otherRows?: number;
  /** Rows stored by one dispatch. Default: all. */
  readonly step?: number;
  /** Rows of a part of the matrix. Default: all. */
  readonly partRows?: number;
  /** Half of headDim where rows are interleaved pairs. Default 0. */
  readonly halfDim?: number;
}

/** Stores the rows on the GPU and reads the matrix back. `fault` is what the kernel noted. */
export async function store(
  { dtype, bytes, columns, format, sourceByte = 0, otherRows = 0, step, partRows, halfDim = 0 }: StoreCase,
): Promise<StoredWeights & { readonly fault: number }> {
  const rowBytes = sourceRowBytes(dtype, columns);
  const nRows = bytes.length / rowBytes;
  const rows = nRows + 2 * otherRows;
  const groups = groupsPerRow(format, columns);
  const most = partRows ?? rows;
  const made = Array.from({ length: Math.ceil(rows / most) }, (_, i) => {
    const count = Math.min(most, rows - i * most);
    return { ...createMatrix(gpu, "stored", count, columns, format).parts[0]!, rowBegin: i * most };
  });
  const matrix = { rows, columns, groups, parts: made };
  const piece = new Uint8Array(Math.ceil((sourceByte + bytes.length) / 4) * 4 + 4);
  piece.set(bytes, sourceByte);
  using source = gpu.tensorOf("piece", "u32", [piece.length / 4], piece);
  using faults = gpu.createTensor("faults", "u32", [3]);
  const recorder = gpu.record();
  for (let firstRow = 0; firstRow < nRows; firstRow += step ?? nRows) {
    storeRows(recorder, {
      ...{ source, sourceByte: sourceByte + firstRow * rowBytes, dtype, firstRow, columns },
      ...{ nRows: Math.min(step ?? nRows, nRows - firstRow), matrix, rowOffset: otherRows, halfDim },
      ...{ faults, faultIndex: 1 },
    });
  }
  gpu.submit([recorder]);
  const fault = new Uint32Array((await gpu.read(faults)).buffer)[1]!;
  const weight: number[][] = [];
  const scales: number[][] = [];
  for (const part of matrix.parts) {
    weight.push([...new Uint32Array((await gpu.read(part.weight)).buffer)]);
    scales.push([...new Uint32Array((await gpu.read(part.scales)).buffer)]);
  }
  disposeMatrix(matrix);
  return {
    format,
    rows,
    columns,
    weight: Uint32Array.from(weight.flat()),
    scales: Uint32Array.from(scales.flat()),
    fault,
  };
}

/** Fails unless the weights that fill the last group of each row are zero. */
export function assertPaddingIsZero(stored: StoredWeights): void {
  const padded = Math.ceil(stored.columns / GROUP) * GROUP;
  const all = decodeWeights({ ...stored, columns: padded });
  const tail = all.filter((_, i) => i % padded >= stored.columns);
  assert(tail.every((value) => value === 0), "Padding is not zero");
}
