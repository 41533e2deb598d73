/**
 * Random weight matrices for kernel tests, in any storage format and number of parts.
 *
 * @module
 */
import {
  GROUP,
  GROUP_WORDS,
  groupsPerRow,
  type Matrix,
  scaleWordsPerRow,
  type WeightFormat,
} from "../../src/gpu/matrix.ts";
import type { StoredWeights } from "../reference/weight_formats.ts";
import { gpu, random } from "./fixture.ts";

/** Random weights of about [-1, 1] / sqrt(columns), padded with zeros (or any bits where a zero scale makes them so). */
export function randomWeights(format: WeightFormat, rows: number, columns: number, seed: number): StoredWeights {
  const groups = groupsPerRow(format, columns);
  const next = random(seed);
  const size = 1 / Math.sqrt(columns);
  const f16 = new Float16Array(1);
  const f32 = new Float32Array(1);
  const halfBits = (value: number) => (f16[0] = value, new Uint16Array(f16.buffer)[0]!);
  const floatBits = (value: number) => (f32[0] = value, new Uint32Array(f32.buffer)[0]!);
  const anyBits = () => Math.floor((next() + 1) * 2 ** 31);
  /** Two f16: of the given sizes, a little above or below. */
  const halves = (low: number, high: number) =>
    halfBits((1 + next() * 0.5) * low) + halfBits((1 + next() * 0.5) * high) * 2 ** 16;
  const scaleWords = scaleWordsPerRow(format, groups);
  const weight = new Uint32Array(Math.max(1, rows * groups * GROUP_WORDS[format]));
  const scales = new Uint32Array(Math.max(1, rows * scaleWords));
  const wordsOfRow = groups * GROUP_WORDS[format];
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < wordsOfRow; i++) {
      const k = Math.floor(i * GROUP / GROUP_WORDS[format]);
      let bits = anyBits();
      if (format === "f32") bits = floatBits(next() * size);
      else if (format === "f16") bits = halfBits(next() * size) + halfBits(next() * size) * 2 ** 16;
      else if (format === "bf16") bits = (floatBits(next() * size) & 0xffff0000) >>> 0;
      if (format === "bf16") bits += floatBits(next() * size) >>> 16;
      weight[row * wordsOfRow + i] = k < columns ? bits : 0;
    }
    for (let i = 0; i < scaleWords; i++) {
      scales[row * scaleWords + i] = scaleWord(format, i, size, halves, anyBits);
    }
  }
  return { format, rows, columns, weight, scales };
}

/** Word `i` of a row's scales, for weights of about `size`. */
function scaleWord(
  format: WeightFormat,
  i: number,
  size: number,
  halves: (low: number, high: number) => number,
  anyBits: () => number,
): number {
  switch (format) {
    case "q4m":
      return halves(size / 8, -size);
    case "q5m":
      return i % 2 === 0 ? anyBits() : halves(size / 16, -size);
    case "q5":
      return i % 3 < 2 ? anyBits() : halves(size / 16, size / 16);
    case "q4k":
    case "q5k": {
      const place = i % (format === "q4k" ? 5 : 13);
      if (place === 0) return halves(size / (format === "q4k" ? 256 : 512), size / 32);
      // s and m have 6 bits.
      return place < 5 ? (anyBits() & 0x3f3f3f3f) >>> 0 : anyBits();
    }
    case "q6k":
      return i % 21 === 0 ? halves(size / 2048, 0) : anyBits();
    case "q3k": {
      // The bytes of one f16 lie above the first two words.
      const byte = i % 12 < 2 ? (halves(size / 64, 0) >>> (8 * (i % 12))) & 0xff : 0;
      return i % 12 < 4 ? ((anyBits() & 0xffffff) | (byte << 24)) >>> 0 : anyBits();
    }
    case "q2k":
      return i % 5 === 0 ? halves(size / 16, size / 8) : anyBits();
    default:
      return halves(size / (format === "q8" ? 127 : 8), size / (format === "q8" ? 127 : 8));
  }
}

/** A GPU copy in parts of at most `partRows` rows. Dispose with `disposeMatrix`. */
export function matrixOf(stored: StoredWeights, partRows: number = Infinity): Matrix {
  const { format, rows, columns, weight, scales } = stored;
  const groups = groupsPerRow(format, columns);
  const words = groups * GROUP_WORDS[format];
  const scaleWords = scaleWordsPerRow(format, groups);
  const parts = [];
  for (let rowBegin = 0; rowBegin < rows; rowBegin += partRows) {
    const count = Math.min(partRows, rows - rowBegin);
    const scalesOfPart = scaleWords === 0
      ? scales
      : scales.slice(rowBegin * scaleWords, (rowBegin + count) * scaleWords);
    parts.push({
      format,
      rowBegin,
      rows: count,
      weight: gpu.tensorOf(
        "weight",
        "u32",
        [count, words],
        weight.slice(rowBegin * words, (rowBegin + count) * words),
      ),
      scales: gpu.tensorOf("scales", "u32", [scalesOfPart.length], scalesOfPart),
    });
  }
  return { rows, columns, groups, parts };
}
