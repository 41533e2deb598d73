/**
 * What kernels that read weights have in common: the storage format's WGSL, joined in front of theirs.
 *
 * @module
 */
import { GROUP_WORDS, WEIGHT_FORMATS, type WeightFormat } from "../gpu/matrix.ts";
import * as wgsl from "../../wgsl/mod.ts";

const SOURCES: Readonly<Record<WeightFormat, string>> = {
  f32: wgsl.formats_f32,
  f16: wgsl.formats_f16,
  bf16: wgsl.formats_bf16,
  q8: wgsl.formats_q8,
  q4: wgsl.formats_q4,
  q4m: wgsl.formats_q4m,
};

/** The WGSL that declares the bindings `weight` and `scales` of a format, and reads them. */
export function formatSource(format: WeightFormat): string {
  return SOURCES[format];
}

/** A format's prelude: LOADS vec4u to a group, QUADS times 4 weights to a load. */
export function formatConstants(format: WeightFormat): { LOADS: number; QUADS: number } {
  const loads = GROUP_WORDS[format] / 4;
  return { LOADS: loads, QUADS: 8 / loads };
}

/** One kernel for each storage format. */
export function formatFamily<K>(make: (format: WeightFormat) => K): Readonly<Record<WeightFormat, K>> {
  return Object.fromEntries(WEIGHT_FORMATS.map((format) => [format, make(format)])) as Record<WeightFormat, K>;
}
