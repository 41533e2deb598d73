/**
 * Weight matrices in the storage formats that kernels read, split by rows where a binding is too small.
 *
 * @module
 */
import type { Gpu } from "./device.ts";
import { byteLengthOf, type Tensor } from "./tensor.ts";

/**
 * How a weight matrix is stored. A group is 32 neighbouring weights of one row.
 *
 * - `f32`: a u32 each. `f16`, `bf16`: two to a u32, low half first.
 * - `q8`: int8, four to a u32; w = d * q. One f16 d a group.
 * - `q4`: 4 bits, eight to a u32; w = d * (q - 8). One f16 d a group: 4.5 bits a weight.
 * - `q4m`: 4 bits; w = d * q + m. f16 d (low half) and f16 m (high half) a group: 5 bits a weight.
 *
 * GGUF's other blocks hold the same integers and f16 as in a file, in another order; a `k` format has blocks of 256:
 *
 * - `q5`, `q5m` (Q5_0, Q5_1): 5 bits; w = d * (q - 16), 5.5 bits a weight, and w = d * q + m, 6 bits.
 * - `q4k`, `q5k`: w = d * s * q - dmin * m. f16 d and dmin a block, 6-bit s and m a group: 4.625 and 5.625 bits.
 * - `q6k`: w = d * s * (q - 32). One f16 d a block, an int8 s for 16 weights: 6.625 bits.
 * - `q3k`: w = d * (s - 32) * (q - 4). One f16 d a block, a 6-bit s for 16 weights: 3.5 bits.
 * - `q2k`: w = d * s * q - dmin * m. f16 d and dmin a block, 4-bit s and m for 16 weights: 2.625 bits.
 *
 * In a 4-bit group, u32 number j (0..3) holds weights 8j..8j+7: the low nibble of byte b is weight 8j + b, the high
 * nibble weight 8j + 4 + b, so that masking with 0x0f0f0f0f gives four neighbours. wgsl/shared/codes.wgsl says where the
 * bits of groups of 2, 3, 5 and 6 bits are.
 */
export type WeightFormat =
  | "f32"
  | "f16"
  | "bf16"
  | "q8"
  | "q6k"
  | "q5m"
  | "q5k"
  | "q5"
  | "q4m"
  | "q4k"
  | "q4"
  | "q3k"
  | "q2k";

/** All formats, in the order of their precision. */
export const WEIGHT_FORMATS: readonly WeightFormat[] = [
  ...["f32", "bf16", "f16", "q8", "q6k", "q5m", "q5k", "q5", "q4m", "q4k", "q4", "q3k", "q2k"] as const,
];

/** Weights in a group, the unit that rows are padded to. */
export const GROUP = 32;

/** u32 words that one group of 32 weights takes in the `weight` buffer: a multiple of 4, or 2. */
export const GROUP_WORDS: Readonly<Record<WeightFormat, number>> = {
  ...{ f32: 32, f16: 16, bf16: 16, q8: 8, q6k: 4, q5m: 4, q5k: 4, q5: 4, q4m: 4, q4k: 4, q4: 4, q3k: 2, q2k: 2 },
};

/** Groups that share scales, and the u32 words that these take, with the bits that `weight` has no room for. */
const SCALE_BLOCKS: Readonly<Record<WeightFormat, { readonly groups: number; readonly words: number }>> = {
  f32: { groups: 1, words: 0 },
  bf16: { groups: 1, words: 0 },
  f16: { groups: 1, words: 0 },
  q8: { groups: 2, words: 1 },
  q6k: { groups: 8, words: 21 },
  q5m: { groups: 1, words: 2 },
  q5k: { groups: 8, words: 13 },
  q5: { groups: 2, words: 3 },
  q4m: { groups: 1, words: 1 },
  q4k: { groups: 8, words: 5 },
  q4: { groups: 2, words: 1 },
  q3k: { groups: 8, words: 12 },
  q2k: { groups: 8, words: 5 },
};

/** A run of whole rows. */
export interface MatrixPart {
  /** Storage format. */
  readonly format: WeightFormat;
  /** First row of the matrix in this part. */
  readonly rowBegin: number;
  /** Number of rows. */
  readonly rows: number;
  /** The weights: (rows, groups, GROUP_WORDS) u32. */
  readonly weight: Tensor;
  /** Scales, and bits that `weight` has no room for: (rows, scaleWordsPerRow) u32, as wgsl/formats says; else one word. */
  readonly scales: Tensor;
}

/** A weight matrix: y = W x has one output a row. */
export interface Matrix {
  /** Output extent. */
  readonly rows: number;
  /** Input extent; rows are stored with `groups * 32` weights, the tail zero. */
  readonly columns: number;
  /** Groups in a row. */
  readonly groups: number;
  /** The rows, in order. */
  readonly parts: readonly MatrixPart[];
}

/** Groups that a row takes: whole blocks of 256 weights in a `k` format. */
export function groupsPerRow(format: WeightFormat, columns: number): number {
  const block = SCALE_BLOCKS[format].groups === 8 ? 8 : 1;
  return Math.ceil(columns / (GROUP * block)) * block;
}

/** u32 words of scales that one row takes. */
export function scaleWordsPerRow(format: WeightFormat, groups: number): number {
  const block = SCALE_BLOCKS[format];
  return Math.ceil(groups / block.groups) * block.words;
}

/** Groups that must be stored at once, because they share words of scales. */
export function groupsPerScale(format: WeightFormat): number {
  return SCALE_BLOCKS[format].groups;
}

/** Bytes that a matrix takes on the GPU, with its padding and scales. */
export function matrixBytes(rows: number, columns: number, format: WeightFormat, maxTensorBytes: number): number {
  const groups = groupsPerRow(format, columns);
  let bytes = 0;
  for (const part of splitRows(rows, groups, format, maxTensorBytes)) {
    bytes += byteLengthOf("u32", [part.rows, groups, GROUP_WORDS[format]]);
    bytes += byteLengthOf("u32", [part.rows, scaleWordsPerRow(format, groups)]);
  }
  return bytes;
}

/** Allocates a matrix of zeros. */
export function createMatrix(gpu: Gpu, label: string, rows: number, columns: number, format: WeightFormat): Matrix {
  const groups = groupsPerRow(format, columns);
  const parts = splitRows(rows, groups, format, gpu.maxTensorBytes).map((part, i, all) => {
    const name = all.length === 1 ? label : `${label}, part ${i + 1} of ${all.length}`;
    return {
      ...part,
      format,
      weight: gpu.createTensor(name, "u32", [part.rows, groups, GROUP_WORDS[format]]),
      scales: gpu.createTensor(`${name}, scales`, "u32", [part.rows, scaleWordsPerRow(format, groups)]),
    };
  });
  return { rows, columns, groups, parts };
}

/** The rows of several matrices, of as many columns each, as those of one. The parts stay the same. */
export function stackMatrices(matrices: readonly Matrix[]): Matrix {
  const [{ columns, groups }] = matrices as [Matrix];
  const parts: MatrixPart[] = [];
  let rows = 0;
  for (const matrix of matrices) {
    for (const part of matrix.parts) parts.push({ ...part, rowBegin: rows + part.rowBegin });
    rows += matrix.rows;
  }
  return { rows, columns, groups, parts };
}

/** The format of a row. */
export function formatAt({ parts }: Matrix, row: number): WeightFormat {
  return parts.findLast(({ rowBegin }) => rowBegin <= row)!.format;
}

/** Frees all parts. */
export function disposeMatrix(matrix: Matrix): void {
  for (const { weight, scales } of matrix.parts) {
    weight.dispose();
    scales.dispose();
  }
}

function splitRows(
  rows: number,
  groups: number,
  format: WeightFormat,
  maxTensorBytes: number,
): { rowBegin: number; rows: number }[] {
  const rowBytes = groups * GROUP_WORDS[format] * 4;
  // Multiples of 32 rows keep every kernel's row tiles whole in all parts but the last.
  const most = Math.max(1, Math.floor(maxTensorBytes / rowBytes));
  const step = most >= rows ? rows : Math.max(1, Math.floor(most / 32) * 32 || most);
  const parts = [];
  for (let rowBegin = 0; rowBegin < rows; rowBegin += step) {
    parts.push({ rowBegin, rows: Math.min(step, rows - rowBegin) });
  }
  return parts;
}
