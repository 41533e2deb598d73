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
  q4m: [wgsl.shared_codes, wgsl.formats_q4m, wgsl.formats_whole_load],
  q5: [wgsl.shared_codes, wgsl.formats_q5, wgsl.formats_five_bits],
  q5m: [wgsl.shared_codes, wgsl.formats_q5m, wgsl.formats_five_bits],
  q2k: [wgsl.shared_codes, wgsl.formats_q2k],
  q3k: [wgsl.shared_codes, wgsl.formats_q3k],
  q4k: [wgsl.shared_codes, wgsl.formats_q4k, wgsl.formats_scales_k, wgsl.formats_whole_load],
  q5k: [wgsl.shared_codes, wgsl.formats_q5k, wgsl.formats_scales_k, wgsl.formats_five_bits],
  q6k: [wgsl.shared_codes, wgsl.formats_q6k],
};

/** Formats in which each group's scale and minimum are a word of their own. */
const HAS_SCALES_APART: readonly WeightFormat[] = ["q4m", "q5m"];

/** The WGSL texts that declare the bindings `weight` and `scales` of a format, and read them. */
export function formatSource(format: WeightFormat): readonly string[] {
  return HAS_SCALES_APART.includes(format) ? SOURCES[format] : [...SOURCES[format], wgsl.formats_scale_of_pair];
}

/** A format's prelude: LOADS loads to a group, QUADS times 4 weights to a load. */
export function formatConstants(format: WeightFormat): { LOADS: number; QUADS: number } {
  const loads = Math.ceil(GROUP_WORDS[format] / 4);
  return { LOADS: loads, QUADS: 8 / loads };
}

/** One kernel for each storage format. */
export function formatFamily<K>(make: (format: WeightFormat) => K): Readonly<Record<WeightFormat, K>> {
  return Object.fromEntries(WEIGHT_FORMATS.map((format) => [format, make(format)])) as Record<WeightFormat, K>;
}
