/**
 * What a request cost, as the OpenAI API tells it.
 *
 * @module
 */
import type { EngineResult } from "./engine.ts";

/** Tokens of one request. */
export interface Usage {
  /** Tokens of the prompts. */
  readonly prompt_tokens: number;
  /** Tokens of all completions. */
  readonly completion_tokens: number;
  /** Both together. */
  readonly total_tokens: number;
  /** How many of the prompts' tokens were cached. */
  readonly prompt_tokens_details: { readonly cached_tokens: number };
}

/** The usage of a request. */
export function usageOf(prompts: readonly (readonly number[])[], { choices, cachedTokens }: EngineResult): Usage {
  const promptTokens = prompts.reduce((sum, { length }) => sum + length, 0);
  const completionTokens = choices.reduce((sum, { usage }) => sum + usage.completionTokens, 0);
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  };
}

/** A name for an answer, in the API's form. */
export function answerId(prefix: "cmpl" | "chatcmpl" | "call"): string {
  return `${prefix}-${crypto.randomUUID().replaceAll("-", "").slice(0, 24)}`;
}

/** Seconds since 1970, whole. */
export function unixSeconds(): number {
  return Math.floor(Date.now() / 1000);
}
