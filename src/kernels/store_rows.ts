/**
 * Rows of a checkpoint's tensor, as raw bytes on the GPU, become rows of a weight matrix: converted, repacked or
 * quantised.
 *
 * @module
 */
import type { Gpu } from "../gpu/device.ts";
import { type Access, defineKernel, type Kernel } from "../gpu/kernel.ts";
import {
  GROUP,
  groupsPerScale,
  type Matrix,
  type MatrixPart,
  scaleWordsPerRow,
  WEIGHT_FORMATS,
  type WeightFormat,
} from "../gpu/matrix.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import * as wgsl from "../../wgsl/mod.ts";

/** Element and block types that the kernels read, as safetensors and ggml spell them. */
export type SourceDtype =
  | ("F32" | "F16" | "BF16")
  | ("Q8_0" | "Q5_1" | "Q5_0" | "Q4_1" | "Q4_0")
  | ("Q6_K" | "Q5_K" | "Q4_K" | "Q3_K" | "Q2_K");

/** Weights and bytes of one block: rows are whole numbers of blocks. */
export const SOURCE_BLOCKS: Readonly<Record<SourceDtype, { readonly weights: number; readonly bytes: number }>> = {
  F32: { weights: 1, bytes: 4 },
  F16: { weights: 1, bytes: 2 },
  BF16: { weights: 1, bytes: 2 },
  Q8_0: { weights: 32, bytes: 34 },
  Q5_1: { weights: 32, bytes: 24 },
  Q5_0: { weights: 32, bytes: 22 },
  Q4_1: { weights: 32, bytes: 20 },
  Q4_0: { weights: 32, bytes: 18 },
  Q6_K: { weights: 256, bytes: 210 },
  Q5_K: { weights: 256, bytes: 176 },
  Q4_K: { weights: 256, bytes: 144 },
  Q3_K: { weights: 256, bytes: 110 },
  Q2_K: { weights: 256, bytes: 84 },
};

const NIBBLES = [wgsl.shared_codes, wgsl.formats_source_nibbles];
const FIVE_BITS = [...NIBBLES, wgsl.formats_source_five_bits];
const BLOCKS = [wgsl.shared_codes, wgsl.formats_source_blocks];
const SCALES_K = wgsl.formats_source_scales_k;

const READERS: Readonly<Record<SourceDtype, readonly string[]>> = {
  F32: [wgsl.formats_source_f32, wgsl.formats_source_elements],
  F16: [wgsl.formats_source_f16, wgsl.formats_source_elements],
  BF16: [wgsl.formats_source_bf16, wgsl.formats_source_elements],
  Q8_0: [wgsl.formats_source_q8_0],
  Q5_1: [...FIVE_BITS, wgsl.formats_source_q5_1],
  Q5_0: [...FIVE_BITS, wgsl.formats_source_q5_0],
  Q4_1: [...NIBBLES, wgsl.formats_source_q4_1],
  Q4_0: [...NIBBLES, wgsl.formats_source_q4_0],
  Q6_K: [...BLOCKS, wgsl.formats_source_q6_k],
  Q5_K: [...FIVE_BITS, wgsl.formats_source_blocks, SCALES_K, wgsl.formats_source_q5_k],
  Q4_K: [...NIBBLES, wgsl.formats_source_blocks, SCALES_K, wgsl.formats_source_q4_k],
  Q3_K: [...BLOCKS, wgsl.formats_source_q3_k],
  Q2_K: [...BLOCKS, wgsl.formats_source_q2_k],
};

const BODIES = {
  unpack_f32: wgsl.unpack_f32,
  unpack_f16: wgsl.unpack_f16,
  repack_half: wgsl.repack_half,
  repack_q8: wgsl.repack_q8,
  repack_q4: wgsl.repack_q4,
  repack_q4m: wgsl.repack_q4m,
  repack_blocks: wgsl.repack_blocks,
  pack_q8: wgsl.pack_q8,
  pack_q4: wgsl.pack_q4,
} as const;

const PARAMS = {
  source_byte: "u32",
  row_bytes: "u32",
  columns: "u32",
  groups: "u32",
  n_rows: "u32",
  first_row: "u32",
  half_dim: "u32",
  row_offset: "u32",
  part_rows: "u32",
  tensor: "u32",
} as const;

/** What to store, and where. */
export interface StoreRows {
  /** Bytes of the file: (any length) u32. */
  readonly source: Tensor;
  /** Where the first row begins in `source`, in bytes. */
  readonly sourceByte: number;
  /** Type of the source's elements or blocks. */
  readonly dtype: SourceDtype;
  /** Number of the first row in its tensor. */
  readonly firstRow: number;
  /** Rows to store. */
  readonly nRows: number;
  /** Weights of a row. */
  readonly columns: number;
  /** The matrix, which may have more columns; they become zero. */
  readonly matrix: Matrix;
  /** Row of the matrix that the tensor's row 0 becomes. */
  readonly rowOffset: number;
  /** Half of headDim where rows are stored as interleaved rotation pairs, as in GGUF files; else 0. */
  readonly halfDim: number;
  /** (n) u32: element `faultIndex` becomes 1 where a value does not fit in f16. */
  readonly faults: Tensor;
  /** Element of `faults` that is this tensor's. */
  readonly faultIndex: number;
}

type StoreKernel = Kernel<string, keyof typeof PARAMS, "ALIGNED">;

/** Bytes of a row of `columns` weights. */
export function sourceRowBytes(dtype: SourceDtype, columns: number): number {
  const { weights, bytes } = SOURCE_BLOCKS[dtype];
  return columns / weights * bytes;
}

/** Records the conversion of rows into the parts of the matrix that they fall in. */
export function storeRows(recorder: Recorder, rows: StoreRows): void {
  const { source, sourceByte, dtype, firstRow, nRows, columns, matrix, rowOffset, halfDim, faults, faultIndex } = rows;
  const rowBytes = sourceRowBytes(dtype, columns);
  // Elements are read four at a time, blocks one by one.
  const { weights, bytes } = SOURCE_BLOCKS[dtype];
  const constants = { ALIGNED: sourceByte % 4 === 0 && rowBytes % 4 === 0 && (weights === 1 || bytes % 4 === 0) };
  // Pairs leave their place only within a head.
  const head = Math.max(1, 2 * halfDim);
  const begin = rowOffset + Math.floor(firstRow / head) * head;
  const end = rowOffset + Math.ceil((firstRow + nRows) / head) * head;
  for (const part of matrix.parts) {
    if (begin >= part.rowBegin + part.rows || end <= part.rowBegin) continue;
    const kernel = kernels.get(`${dtype} ${part.format}`);
    if (kernel === undefined) throw new TypeError(`Cannot store ${dtype} weights as ${part.format}`);
    recorder.dispatch(kernel, { source, weight: part.weight, scales: part.scales, faults }, {
      source_byte: sourceByte,
      row_bytes: rowBytes,
      columns,
      groups: matrix.groups,
      n_rows: nRows,
      first_row: firstRow,
      half_dim: halfDim,
      row_offset: (rowOffset - part.rowBegin) >>> 0,
      part_rows: part.rows,
      tensor: faultIndex,
    }, constants);
  }
}

/** True where rows of the source are rows of a matrix in the format, byte for byte. */
export function isVerbatim(dtype: SourceDtype, columns: number, halfDim: number, format: WeightFormat): boolean {
  return halfDim === 0 && dtype.toLowerCase() === format && columns % GROUP === 0;
}

/**
 * Writes verbatim rows into the parts of the matrix that they fall in, before anything that is submitted later.
 *
 * @param gpu The matrix's device.
 * @param bytes The rows.
 * @param matrix The matrix.
 * @param firstRow Row of the matrix that the first of them becomes.
 * @param nRows How many they are.
 * @param which The buffer of a part that they are rows of.
 */
export function uploadRows(
  gpu: Gpu,
  bytes: Uint8Array<ArrayBuffer>,
  matrix: Matrix,
  firstRow: number,
  nRows: number,
  which: "weight" | "scales",
): void {
  for (const part of matrix.parts) {
    const begin = Math.max(firstRow, part.rowBegin);
    const end = Math.min(firstRow + nRows, part.rowBegin + part.rows);
    if (begin >= end) continue;
    const rowBytes = storedRowBytes(part, which);
    const rows = bytes.subarray((begin - firstRow) * rowBytes, (end - firstRow) * rowBytes);
    gpu.upload(part[which], rows, (begin - part.rowBegin) * rowBytes);
  }
}

/** Bytes that a row takes in a buffer of a part. */
export function storedRowBytes(part: MatrixPart, which: "weight" | "scales"): number {
  return 4 * part[which].shape.slice(1).reduce((product, extent) => product * extent, 1);
}

/** Formats that hold the blocks of a type as they are, apart from their order. */
const RELAID: Partial<Record<WeightFormat, SourceDtype>> = {
  ...{ q6k: "Q6_K", q5m: "Q5_1", q5k: "Q5_K", q5: "Q5_0", q4k: "Q4_K", q3k: "Q3_K", q2k: "Q2_K" },
};

/** Kernel file that turns `dtype` into `format`; none where there is no reason to. */
function methodOf(dtype: SourceDtype, format: WeightFormat): keyof typeof BODIES | undefined {
  switch (format) {
    case "f32":
      return "unpack_f32";
    case "f16":
      return dtype === "F16" ? "repack_half" : "unpack_f16";
    case "bf16":
      return dtype === "BF16" ? "repack_half" : undefined;
    case "q8":
      return dtype === "Q8_0" ? "repack_q8" : "pack_q8";
    case "q4":
      return dtype === "Q4_0" ? "repack_q4" : "pack_q4";
    case "q4m":
      return dtype === "Q4_1" ? "repack_q4m" : undefined;
    default:
      return dtype === RELAID[format] ? "repack_blocks" : undefined;
  }
}

/** All kernels by "dtype format". */
const kernels: ReadonlyMap<string, StoreKernel> = new Map(
  (Object.keys(SOURCE_BLOCKS) as SourceDtype[]).flatMap((dtype) =>
    WEIGHT_FORMATS.flatMap((format): [string, StoreKernel][] => {
      const method = methodOf(dtype, format);
      return method === undefined ? [] : [[`${dtype} ${format}`, declare(dtype, format, method)]];
    })
  ),
);

function declare(dtype: SourceDtype, format: WeightFormat, method: keyof typeof BODIES): StoreKernel {
  const hasScales = scaleWordsPerRow(format, 1) > 0;
  const mayFault = method === "unpack_f16" || method.startsWith("pack");
  const groupsPerInvocation = groupsPerScale(format);
  const bindings: Record<string, Access> = { source: "read", weight: "read_write" };
  if (hasScales) bindings.scales = "read_write";
  if (mayFault) bindings.faults = "read_write";
  return defineKernel({
    name: `${method}.${dtype.toLowerCase()}`,
    source: [
      ...(method.startsWith("pack") ? [wgsl.shared_half] : []),
      wgsl.formats_source,
      ...(method === "repack_half" ? [] : READERS[dtype]),
      ...(mayFault ? [wgsl.formats_fault] : []),
      BODIES[method],
    ],
    constants: ["ALIGNED"],
    bindings,
    params: PARAMS,
    workgroups: ({ n_rows, groups }) => [Math.ceil(n_rows * Math.ceil(groups / groupsPerInvocation) / 64)],
    cost: ({ n_rows, groups }) => n_rows * groups * 32,
  });
}
