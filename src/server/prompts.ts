/**
 * Prompts of requests as token ids.
 *
 * @module
 */
import type { Model } from "../api/model.ts";
import { type ApiError, invalid } from "./api_error.ts";

/** Characters that one token may stand for: the longest in common vocabularies are runs of 128 spaces. */
const LONGEST_TOKEN = 128;

/**
 * The ids of a prompt, of which at least one more token fits in the context.
 *
 * @throws {ApiError} 400 if it is too long, or has an id that is not in the vocabulary.
 */
export function encodePrompt(model: Model, prompt: string | readonly number[]): readonly number[] {
  if (typeof prompt === "string") {
    requireShort(model, prompt.length);
    return requireRoom(model, Array.from(model.tokenizer.encode(prompt)), "prompt");
  }
  const { vocabSize } = model.config;
  const wrong = prompt.find((id) => id >= vocabSize);
  if (wrong !== undefined) {
    throw invalid("prompt", `Expected token ids from 0 to ${vocabSize - 1} in prompt, got ${wrong}`);
  }
  return requireRoom(model, prompt, "prompt");
}

/**
 * Refuses a text that no context holds before any time is spent on it.
 *
 * @throws {ApiError} 400.
 */
export function requireShort({ contextLength }: Model, nCharacters: number): void {
  if (nCharacters > contextLength * LONGEST_TOKEN) {
    throw tooLong("prompt", contextLength, `${nCharacters} characters, more than that many tokens stand for`);
  }
}

/**
 * Refuses a prompt that fills the context.
 *
 * @throws {ApiError} 400.
 */
export function requireRoom<T extends { readonly length: number }>(
  { contextLength }: Model,
  tokens: T,
  param: string,
): T {
  if (tokens.length >= contextLength) throw tooLong(param, contextLength, `${tokens.length} tokens`);
  return tokens;
}

function tooLong(param: string, contextLength: number, what: string): ApiError {
  return invalid(
    param,
    `This model's maximum context length is ${contextLength} tokens, with the completion, and the prompt has ${what}`,
    "context_length_exceeded",
  );
}
