/**
 * Hashes that contents on the hub are named by.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { HubFile } from "./hub_api.ts";

/** A hash of bytes that come piece by piece. */
export interface ContentHash {
  /** Takes the next bytes. */
  update(bytes: Uint8Array): void;
  /** The hash of all of them, in hexadecimal; the end of its use. */
  digest(): string;
}

/** The hash that a file's content is to have, before any byte of it. */
export function contentHash({ size, hash: { algorithm } }: HubFile): ContentHash {
  const hash = createHash(algorithm === "sha256" ? "sha256" : "sha1");
  // git hashes a content with its kind and length before it.
  if (algorithm === "git-sha1") hash.update(`blob ${size}\0`);
  return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest("hex") };
}
