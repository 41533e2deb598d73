/**
 * Storage formats of the KV cache: how large a row of keys or values is, and the WGSL that kernels which read it are
 * joined with.
 *
 * @module
 */
import type { Dtype } from "../gpu/tensor.ts";
import * as wgsl from "../../wgsl/mod.ts";

/**
 * How cached keys and values are stored. A group is 32 neighbouring elements of one head's row; the last group of a row
 * may have 16.
 *
 * - `f32`: as they are. `f16`: two to a u32.
 * - `q8`: int8, with one f16 scale a group (8.5 bits an element).
 * - `q4`: 4 bits, of rows that are rotated by a Hadamard matrix, with one f16 scale a group (4.5 bits an element).
 */
export type KvFormat = "f32" | "f16" | "q8" | "q4";

/** All storage formats of the KV cache, in the order of their precision. */
export const KV_FORMATS: readonly KvFormat[] = ["f32", "f16", "q8", "q4"];

const DTYPES: Readonly<Record<KvFormat, Dtype>> = { f32: "f32", f16: "f16", q8: "u32", q4: "u32" };
const BITS: Readonly<Record<KvFormat, number>> = { f32: 32, f16: 16, q8: 8, q4: 4 };
const SOURCES: Readonly<Record<KvFormat, string>> = {
  f32: wgsl.formats_kv_read_f32,
  f16: wgsl.formats_kv_read_f16,
  q8: wgsl.shared_half + wgsl.formats_kv_read_q8,
  q4: wgsl.shared_half + wgsl.formats_kv_read_q4,
};

const WRITERS: Readonly<Record<KvFormat, readonly string[]>> = {
  f32: [wgsl.formats_kv_write_f32, wgsl.formats_kv_elements],
  f16: [wgsl.formats_kv_write_f16, wgsl.formats_kv_elements],
  q8: [wgsl.formats_kv_write_q8, wgsl.formats_kv_groups],
  q4: [wgsl.formats_kv_write_q4, wgsl.formats_kv_groups],
};

/** Whether rows are stored as codes in groups, each with a scale. */
export function isGrouped(format: KvFormat): boolean {
  return format === "q8" || format === "q4";
}

/** Whether the format can store rows of `headDim` elements: groups need whole halves. */
export function canStore(format: KvFormat, headDim: number): boolean {
  return !isGrouped(format) || headDim % 16 === 0;
}

/** Words that hold two scales each, of one row. */
export function scalePairs(headDim: number): number {
  return Math.ceil(headDim / 64);
}

/**
 * Bytes of one row of `headDim` elements in each region of a K or V tensor. Regions follow each other, and each is
 * (nKvHeads, capacity, bytes): the elements, then the scales where the format has them.
 */
export function kvRowBytes(format: KvFormat, headDim: number): readonly number[] {
  const elements = headDim * BITS[format] / 8;
  return isGrouped(format) ? [elements, 4 * scalePairs(headDim)] : [elements];
}

/** Element type and shape of a K or V tensor: (nKvHeads, capacity, headDim), or as many u32 as its regions take. */
export function kvTensorShape(
  format: KvFormat,
  { nKvHeads, headDim }: { readonly nKvHeads: number; readonly headDim: number },
  capacity: number,
): readonly [dtype: Dtype, shape: readonly number[]] {
  const words = kvRowBytes(format, headDim).reduce((sum, bytes) => sum + bytes, 0) / 4;
  return [DTYPES[format], [nKvHeads, capacity, isGrouped(format) ? words : headDim]];
}

/** Elements of the blocks in which rows of `headDim` are rotated: the largest power of two that divides it. */
export function hadamardBlock(headDim: number): number {
  return headDim & -headDim;
}

/** The WGSL that kernels are joined with which store quads of a row and read the cache too. */
export function kvStore(format: KvFormat): readonly string[] {
  return WRITERS[format];
}

/** One kernel for each storage format; `make` gets the WGSL that reads the cache, to be joined in front. */
export function kvFamily<K>(make: (format: KvFormat, source: string) => K): Readonly<Record<KvFormat, K>> {
  return Object.fromEntries(KV_FORMATS.map((format) => [format, make(format, SOURCES[format])])) as Record<KvFormat, K>;
}
