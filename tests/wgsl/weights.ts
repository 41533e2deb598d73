/**
 * Random weight matrices for kernel tests, in any storage format and number of parts.
 *
 * @module
 */
import { GROUP, GROUP_WORDS, type Matrix, scaleWordsPerRow, type WeightFormat } from "../../src/gpu/matrix.ts";
import type { StoredWeights } from "../reference/weight_formats.ts";
import { gpu, random } from "./fixture.ts";

/** Random weights of about [-1, 1] / sqrt(columns), padded with zeros (or any bits where a zero scale makes them so). */
export function randomWeights(format: WeightFormat, rows: number, columns: number, seed: number): StoredWeights {
  const groups = Math.ceil(columns / GROUP);
  const next = random(seed);
  const size = 1 / Math.sqrt(columns);
  const f16 = new Float16Array(1);
  const f32 = new Float32Array(1);
  const halfBits = (value: number) => (f16[0] = value, new Uint16Array(f16.buffer)[0]!);
  const floatBits = (value: number) => (f32[0] = value, new Uint32Array(f32.buffer)[0]!);
  const anyBits = () => Math.floor((next() + 1) * 2 ** 31);
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
      const d = () => halfBits((0.5 + next() * 0.4) * size / (format === "q8" ? 127 : 8));
      scales[row * scaleWords + i] = d() + (format === "q4m" ? halfBits((next() * 0.5 - 1) * size) : d()) * 2 ** 16;
    }
  }
  return { format, rows, columns, weight, scales };
}

/** A GPU copy in parts of at most `partRows` rows. Dispose with `disposeMatrix`. */
export function matrixOf(stored: StoredWeights, partRows: number = Infinity): Matrix {
  const { format, rows, columns, weight, scales } = stored;
  const groups = Math.ceil(columns / GROUP);
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
