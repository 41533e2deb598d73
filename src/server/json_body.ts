/**
 * JSON that strangers send.
 *
 * @module
 */
import { ApiError } from "./api_error.ts";

/** Arrays and objects inside one another, more than any request has. */
const DEEPEST = 64;

/**
 * Parses a body.
 *
 * @throws {ApiError} 400 if it is not UTF-8, not JSON, or too deep.
 */
export function parseJsonBody(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new ApiError(400, "Cannot read the request's body: it is not valid UTF-8");
  }
  if (depthOf(text) > DEEPEST) {
    throw new ApiError(400, `Cannot read the request's body: it has over ${DEEPEST} levels of arrays and objects`);
  }
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message would quote the body.
    throw new ApiError(400, "Cannot read the request's body: it is not valid JSON");
  }
}

/** Most brackets open at once, those in strings not counted; looks no further than it must. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (let at = 0; at < text.length && deepest <= DEEPEST; at++) {
    const char = text.charCodeAt(at);
    if (char === 0x22) {
      for (at++; at < text.length && text.charCodeAt(at) !== 0x22; at++) if (text.charCodeAt(at) === 0x5c) at++;
    } else if (char === 0x5b || char === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (char === 0x5d || char === 0x7d) depth--;
  }
  return deepest;
}
