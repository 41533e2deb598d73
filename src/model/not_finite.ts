/**
 * The error of logits that hold a NaN or an infinity.
 *
 * @module
 */
import { ShaderError } from "../errors.ts";

/** The error of logits that are not finite after `nTokens` tokens. */
export function notFinite(nTokens: number): ShaderError {
  return new ShaderError(
    "logits",
    `Logits are not finite after ${nTokens} tokens: the weights hold NaN or Inf, or the adapter computes wrongly`,
  );
}
