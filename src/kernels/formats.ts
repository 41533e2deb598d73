/**
 * What kernels that read weights have in common: the storage format's WGSL, joined in front of theirs.
 *
 * @module
 */
import { GROUP_WORDS, WEIGHT_FORMATS, type WeightFormat } from "../gpu/matrix.ts";
import * as wgsl from "../../wgsl/mod.ts";

const SOURCES: Readonly<Record<WeightFormat, readonly string[]>> = {
  f32: [wgsl.formats_f32, wgsl.formats_whole_load],
  f16: [wgsl.formats_f16, wgsl.formats_whole_load],
  bf16: [wgsl.formats_bf16, wgsl.formats_whole_load],
  q8: [wgsl.formats_q8, wgsl.formats_whole_load],
  q4: [wgsl.formats_q4, wgsl.formats_whole_load],
  q4m: [wgsl.formats_q4m, wgsl.formats_whole_load],
};

/** The WGSL texts that declare the bindings `weight` and `scales` of a format, and read them. */
export function formatSource(format: WeightFormat): readonly string[] {
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
