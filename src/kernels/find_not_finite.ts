/**
 * Looks for a NaN or an infinity in weights as they are stored.
 *
 * @module
 */
import { defineKernel, type Kernel } from "../gpu/kernel.ts";
import { GROUP_WORDS, groupsPerRow, type Matrix, scaleWordsPerRow, type WeightFormat } from "../gpu/matrix.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import * as wgsl from "../../wgsl/mod.ts";

/** What `findNotFinite` leaves for a tensor that holds one. */
export const NOT_FINITE = 2;

/** Workgroups in a row of the grid, and words that each looks at. */
const SPAN = 32768;
const WORDS = 1024;

type FindKernel = Kernel<
  "words" | "faults",
  "first" | "period" | "n_words" | "mask_a" | "mask_b" | "tensor",
  "SPAN"
>;

/** `width` words at once. */
function declare(width: 1 | 4): FindKernel {
  return defineKernel({
    name: width === 4 ? "find_not_finite.dense" : "find_not_finite",
    source: [`alias Word = ${width === 4 ? "vec4u" : "u32"};\n`, wgsl.find_not_finite],
    constants: ["SPAN"],
    bindings: { words: "read", faults: "read_write" },
    params: { first: "u32", period: "u32", n_words: "u32", mask_a: "u32", mask_b: "u32", tensor: "u32" },
    workgroups: ({ n_words }) => {
      const groups = Math.ceil(n_words / WORDS);
      return [Math.min(groups, SPAN), Math.ceil(groups / SPAN)];
    },
    cost: ({ n_words }) => n_words * width,
  });
}

const anywhere = declare(1);
const dense = declare(4);

/** Exponents of the floats in a word: of one f32; of two f16; of two bf16; of an f16 in either half. */
const F32 = [0x7f800000, 0x7f800000] as const;
const F16 = [0x7c000000, 0x7c00] as const;
const BF16 = [0x7f800000, 0x7f80] as const;
const LOW_F16 = [0x7c00, 0x7c00] as const;
const HIGH_F16 = [0x7c000000, 0x7c000000] as const;

/** Where a format has its floats: the buffer, the words of a block, the one that holds floats, and their exponents. */
interface Floats {
  readonly buffer: "weight" | "scales";
  readonly period: number;
  readonly at: number;
  readonly masks: readonly [number, number];
}

const inScales = (period: number, at: number, masks: Floats["masks"] = F16): Floats => ({
  ...{ buffer: "scales", period, at, masks },
});

const FLOATS: Readonly<Record<WeightFormat, Floats>> = {
  f32: { buffer: "weight", period: 1, at: 0, masks: F32 },
  f16: { buffer: "weight", period: 1, at: 0, masks: F16 },
  bf16: { buffer: "weight", period: 1, at: 0, masks: BF16 },
  q8: inScales(1, 0),
  q6k: inScales(21, 0, LOW_F16),
  q5m: inScales(2, 1),
  q5k: inScales(13, 0),
  q5: inScales(3, 2),
  q4m: inScales(1, 0),
  q4k: inScales(5, 0),
  q4: inScales(1, 0),
  q3k: inScales(12, 1, HIGH_F16),
  q2k: inScales(5, 0),
};

/** What to look at, and where to note it. */
export interface FindNotFinite {
  /** The matrix. */
  readonly matrix: Matrix;
  /** First row of the tensor. */
  readonly rowOffset: number;
  /** Its rows. */
  readonly rows: number;
  /** (n) u32: element `faultIndex` becomes `NOT_FINITE` where a row holds a NaN or an infinity. */
  readonly faults: Tensor;
  /** Element of `faults` that is this tensor's. */
  readonly faultIndex: number;
}

/** Records the search in the rows of a tensor. */
export function findNotFinite(
  recorder: Recorder,
  { matrix, rowOffset, rows, faults, faultIndex }: FindNotFinite,
): void {
  for (const part of matrix.parts) {
    const begin = Math.max(rowOffset, part.rowBegin);
    const end = Math.min(rowOffset + rows, part.rowBegin + part.rows);
    if (begin >= end) continue;
    const { format } = part;
    const { buffer, period, at, masks: [mask_a, mask_b] } = FLOATS[format];
    const groups = groupsPerRow(format, matrix.columns);
    const rowWords = buffer === "weight" ? groups * GROUP_WORDS[format] : scaleWordsPerRow(format, groups);
    // Groups of floats are whole rows of four words.
    const width = buffer === "weight" ? 4 : 1;
    recorder.dispatch(width === 4 ? dense : anywhere, { words: part[buffer], faults }, {
      first: (begin - part.rowBegin) * rowWords / width + at,
      period,
      n_words: (end - begin) * rowWords / (period * width),
      mask_a,
      mask_b,
      tensor: faultIndex,
    }, { SPAN });
  }
}
