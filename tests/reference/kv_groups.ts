/**
 * The grouped storage formats of the KV cache: a tensor holds the codes of all rows, then the f16 m of their groups, two
 * to a u32 and an even number to a row. A group is 32 elements of a row; the last one may have 16.
 *
 * - `q8`: x = m / 127 * code, code an int8, m the largest magnitude of the group.
 * - `q4`: x = -m / 8 * (code - 8), code of 4 bits, m the element of largest magnitude with its sign. Of 8 elements that
 *   share a u32, element j < 4 is the low nibble of byte j, element 4 + j the high one.
 */
export type GroupedFormat = "q8" | "q4";

/** Elements of a group. */
const GROUP = 32;

function codesAt(format: GroupedFormat, row: number, headDim: number, i: number): { byte: number; shift: number } {
  if (format === "q8") return { byte: row * headDim + i, shift: 0 };
  return { byte: (row * headDim + i - i % 8) / 2 + i % 4, shift: i % 8 < 4 ? 0 : 4 };
}

function wordsOf(format: GroupedFormat, nRows: number, headDim: number): { codes: number; scales: number } {
  return { codes: nRows * headDim / (format === "q8" ? 4 : 8), scales: nRows * Math.ceil(headDim / (2 * GROUP)) };
}

/** What a group's codes count in. */
export function stepOf(format: GroupedFormat, m: number): number {
  return format === "q8" ? m / 127 : m / -8;
}

/** Stores rows (nRows, headDim) as they are: q4 is given rotated rows. */
export function packGroups(format: GroupedFormat, rows: ArrayLike<number>, headDim: number): Uint32Array<ArrayBuffer> {
  const nRows = rows.length / headDim;
  const { codes, scales } = wordsOf(format, nRows, headDim);
  const words = new Uint32Array(codes + scales);
  const bytes = new Uint8Array(words.buffer);
  const halves = new Float16Array(words.buffer, 4 * codes);
  for (let row = 0; row < nRows; row++) {
    for (let begin = 0; begin < headDim; begin += GROUP) {
      const end = Math.min(begin + GROUP, headDim);
      let extreme = 0;
      for (let i = begin; i < end; i++) {
        const x = rows[row * headDim + i]!;
        if (Math.abs(x) > Math.abs(extreme)) extreme = x;
      }
      const half = row * 2 * Math.ceil(headDim / (2 * GROUP)) + begin / GROUP;
      halves[half] = Math.max(-65504, Math.min(65504, format === "q8" ? Math.abs(extreme) : extreme));
      const step = stepOf(format, halves[half]!);
      for (let i = begin; i < end; i++) {
        const nearest = step === 0 ? 0 : Math.round(rows[row * headDim + i]! / step);
        const { byte, shift } = codesAt(format, row, headDim, i);
        const code = format === "q8" ? Math.max(-127, Math.min(127, nearest)) : Math.max(0, Math.min(15, nearest + 8));
        bytes[byte]! |= (code & 255) << shift;
      }
    }
  }
  return words;
}

/** The values that stored rows stand for, and each one's step: (nRows, headDim). */
export function unpackGroups(
  format: GroupedFormat,
  words: Uint32Array<ArrayBuffer>,
  nRows: number,
  headDim: number,
): { values: Float64Array; steps: Float64Array } {
  const bytes = new Uint8Array(words.buffer, words.byteOffset);
  const halves = new Float16Array(words.buffer, words.byteOffset + 4 * wordsOf(format, nRows, headDim).codes);
  const values = new Float64Array(nRows * headDim);
  const steps = new Float64Array(nRows * headDim);
  for (let row = 0; row < nRows; row++) {
    for (let i = 0; i < headDim; i++) {
      const at = row * headDim + i;
      const { byte, shift } = codesAt(format, row, headDim, i);
      const code = format === "q8" ? bytes[byte]! << 24 >> 24 : (bytes[byte]! >> shift & 15) - 8;
      steps[at] = stepOf(format, halves[row * 2 * Math.ceil(headDim / (2 * GROUP)) + Math.floor(i / GROUP)]!);
      values[at] = code * steps[at]!;
    }
  }
  return { values, steps };
}
