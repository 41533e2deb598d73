/**
 * The Rust core: header parsers and tokenizers. Everything that reads untrusted bytes is in there, and nothing else.
 *
 * Errors are plain `Error` objects whose `code` is the name of the core's error variant, such as `"Truncated"`; the
 * modules under `src/` turn them into `FormatError` with the file's name.
 *
 * @module
 */

export { DecodeStream, HeaderParser, parseIndex, Tokenizer } from "./pkg/core.js";
