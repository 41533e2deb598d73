/**
 * Errors as sentences.
 *
 * @module
 */
import { DownloadError, GpuUnavailableError } from "../mod.ts";

/** What stands in the way of running anything here; undefined where nothing is known to. */
export function obstacle(): string | undefined {
  if ("gpu" in navigator) return undefined;
  if (!isSecureContext) return "WebGPU needs a secure page: open this one by https, or on localhost.";
  return "This browser has no WebGPU. Chrome and Edge have it from version 113, Safari from 26, and Firefox from 141 on " +
    "Windows and 145 on Macs with Apple silicon.";
}

/** What to tell of an error. */
export function sentenceOf(error: unknown): string {
  if (error instanceof GpuUnavailableError) {
    return obstacle() ??
      "The browser found no graphics card for WebGPU. Hardware acceleration may be switched off in its settings.";
  }
  if (error instanceof DownloadError) {
    if (error.code === "NotFound") return "Hugging Face has no model of this id that everyone may read.";
    if (error.code === "Gated" || error.code === "Unauthorized") {
      return "The model’s owner asks everyone to agree to terms first. Download its files from Hugging Face, and choose " +
        "them here under “Files of yours”.";
    }
  }
  const text = error instanceof Error ? error.message : String(error);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
