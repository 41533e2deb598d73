/**
 * What tells one checkpoint from another without reading all of it.
 *
 * @module
 */
import type { ModelSource } from "./source.ts";

/** Bytes of a checkpoint's file that are hashed, at its beginning, in its middle and at its end. */
const SAMPLE = 2 ** 16;

/**
 * A hash of a checkpoint: names, sizes and samples of its files, so that 13 GB need not be read.
 *
 * @param more What else has to be the same.
 */
export async function sourceFingerprint(files: ModelSource, more: readonly string[]): Promise<string> {
  const parts: (string | Uint8Array<ArrayBuffer>)[] = [...more];
  for (const name of await files.list()) {
    if (!/\.(json|model|safetensors|bin|gguf)$/.test(name)) continue;
    const size = await files.size(name);
    parts.push(name, String(size));
    for (const begin of [0, Math.floor(size / 2), Math.max(0, size - SAMPLE)]) {
      parts.push(await files.read(name, begin, Math.min(size, begin + SAMPLE)));
    }
  }
  return await hashOf(parts);
}

/** SHA-256 over the hashes of the parts, in hexadecimal. */
export async function hashOf(parts: readonly (string | Uint8Array<ArrayBuffer>)[]): Promise<string> {
  const digest = async (bytes: Uint8Array<ArrayBuffer>) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const encoder = new TextEncoder();
  const digests = new Uint8Array(32 * parts.length);
  for (const [i, part] of parts.entries()) {
    digests.set(await digest(typeof part === "string" ? encoder.encode(part) : part), 32 * i);
  }
  return (await digest(digests)).toHex();
}
