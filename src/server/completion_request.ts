/**
 * What `POST /v1/completions` is asked for.
 *
 * @module
 */
import { invalid } from "./api_error.ts";
import { Fields, shown } from "./fields.ts";
import { MOST_CHOICES, type SharedRequest, sharedRequest } from "./sampling_fields.ts";

/** A checked request. */
export interface CompletionRequest extends SharedRequest {
  /** Texts or token ids to continue. */
  readonly prompts: readonly (string | readonly number[])[];
  /** Whether the prompt stands before its completion. */
  readonly echo: boolean;
}

/**
 * Checks a request.
 *
 * @throws {ApiError} With the first field that is wrong.
 */
export function readCompletionRequest(body: unknown): CompletionRequest {
  const fields = new Fields(body);
  const echo = fields.boolean("echo") ?? false;
  const shared = sharedRequest(fields, ["max_tokens"], echo ? 0 : 1);
  const prompts = promptsOf(fields.take("prompt"));
  if (prompts.length * shared.n > MOST_CHOICES) {
    throw invalid("n", `Expected at most ${MOST_CHOICES} choices, got ${prompts.length} prompts with ${shared.n} each`);
  }
  const topLogprobs = fields.integer("logprobs", { min: 0, max: 5 });
  if (echo && topLogprobs !== undefined && topLogprobs > 0) {
    throw invalid(
      "logprobs",
      "Cannot tell the likeliest tokens beside those of an echoed prompt: set logprobs to 0, or echo to false",
      "unsupported_parameter",
    );
  }
  const bestOf = fields.integer("best_of", { min: 1, max: MOST_CHOICES });
  if (bestOf !== undefined && bestOf !== shared.n) {
    throw invalid(
      "best_of",
      `Cannot choose the best of ${bestOf}: set best_of to n or leave it out`,
      "unsupported_parameter",
    );
  }
  fields.refuse("suffix", "these models do not fill in the middle", (value) => value === "");
  fields.end();
  return {
    ...shared,
    prompts,
    echo,
    options: {
      ...shared.options,
      // The API's own default, which is not that of chats.
      maxTokens: shared.options.maxTokens ?? 16,
      ...(topLogprobs === undefined ? {} : { topLogprobs }),
    },
  };
}

const isIds = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((id) => typeof id === "number");

function promptsOf(value: unknown): (string | number[])[] {
  if (value === undefined) throw invalid("prompt", "Expected a text or token ids as prompt");
  if (typeof value === "string" || isIds(value)) return [checked(value)];
  if (Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === "string" || isIds(each))) {
    return value.map(checked);
  }
  throw invalid("prompt", `Expected a string, token ids, or an array of such as prompt, got ${shown(value)}`);
}

function checked(prompt: string | number[]): string | number[] {
  if (prompt.length === 0) throw invalid("prompt", "Expected a prompt of at least one token, got an empty one");
  if (typeof prompt !== "string") {
    const wrong = prompt.find((id) => !Number.isInteger(id) || id < 0 || id > 0xffffffff);
    if (wrong !== undefined) throw invalid("prompt", `Expected token ids in prompt, got ${wrong}`);
  } else if (!prompt.isWellFormed()) throw invalid("prompt", "Expected well-formed Unicode in prompt");
  return prompt;
}
