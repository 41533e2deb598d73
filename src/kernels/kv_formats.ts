/**
 * Storage formats of the KV cache: the WGSL that kernels which touch it are joined with.
 *
 * @module
 */
import * as wgsl from "../../wgsl/mod.ts";

/** How cached keys and values are stored: f32, or f16 two to a u32. */
export type KvFormat = "f32" | "f16";

/** All storage formats of the KV cache. */
export const KV_FORMATS: readonly KvFormat[] = ["f32", "f16"];

const SOURCES: Readonly<Record<KvFormat, string>> = { f32: wgsl.formats_kv_f32, f16: wgsl.formats_kv_f16 };

/** One kernel for each storage format; `make` gets the format's WGSL, to be joined in front of the kernel's. */
export function kvFamily<K>(make: (format: KvFormat, source: string) => K): Readonly<Record<KvFormat, K>> {
  return Object.fromEntries(KV_FORMATS.map((format) => [format, make(format, SOURCES[format])])) as Record<KvFormat, K>;
}
