/**
 * The fields that completions and chats share: how tokens are selected and when a generation ends.
 *
 * @module
 */
import type { GenerateOptions } from "../api/session.ts";
import { invalid } from "./api_error.ts";
import { type Fields, isRecord, shown } from "./fields.ts";

/** Stop strings of one request; the engine looks for each in every piece of text. */
const MOST_STOPS = 16;

/** Choices of one request. */
export const MOST_CHOICES = 32;

/** A largest number of tokens that is certainly more than any context. */
const MOST_TOKENS = 2 ** 31 - 1;

/** Below this a temperature makes no difference to taking the likeliest token. */
const LOWEST_TEMPERATURE = 1e-4;

/** Fields that OpenAI's service knows and that mean nothing here. */
const WITHOUT_EFFECT = [
  "user",
  "metadata",
  "store",
  "service_tier",
  "safety_identifier",
  "prompt_cache_key",
  "prompt_cache_retention",
];

/** What both kinds of requests ask for. */
export interface SharedRequest {
  /** The model's id. */
  readonly model: string;
  /** Choices for each prompt. */
  readonly n: number;
  /** Whether the answer comes as server-sent events. */
  readonly stream: boolean;
  /** Whether the stream ends with the usage. */
  readonly includeUsage: boolean;
  /** How tokens are selected, and when it ends. */
  readonly options: GenerateOptions;
}

/**
 * Takes the shared fields.
 *
 * @param maxTokens The fields that the limit on tokens may stand in, the first one first.
 * @param fewestTokens Smallest limit.
 * @throws {ApiError} For a value that is not allowed, with the field's name.
 */
export function sharedRequest(fields: Fields, maxTokens: readonly string[], fewestTokens: number): SharedRequest {
  const model = fields.text("model");
  if (model === undefined) throw invalid("model", "Expected the model's id as model");
  fields.ignore(WITHOUT_EFFECT);
  const stream = fields.boolean("stream") ?? false;
  const limits = maxTokens.map((key) => fields.integer(key, { min: fewestTokens, max: MOST_TOKENS }));
  const temperature = fields.number("temperature", { min: 0, max: 2 }) ?? 1;
  const topP = fields.number("top_p", { min: 0, max: 1 });
  const topK = fields.integer("top_k", { min: -1, max: 2 ** 31 - 1 });
  const minP = fields.number("min_p", { min: 0, max: 1 });
  const repetitionPenalty = fields.number("repetition_penalty", { min: 0.01, max: 100 });
  const presencePenalty = fields.number("presence_penalty", { min: -2, max: 2 });
  const frequencyPenalty = fields.number("frequency_penalty", { min: -2, max: 2 });
  const seed = fields.integer("seed", { min: -Number.MAX_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER });
  const logitBias = biasesOf(fields);
  const stop = fields.texts("stop", { most: MOST_STOPS, longest: 1000 }) ?? [];
  if (stop.includes("")) throw invalid("stop", "Expected no empty string in stop");
  const given = <K extends string, T>(key: K, value: T | undefined) =>
    value === undefined ? {} : { [key]: value } as { [P in K]: T };
  return {
    model,
    n: fields.integer("n", { min: 1, max: MOST_CHOICES }) ?? 1,
    stream,
    includeUsage: includesUsage(fields, stream),
    options: {
      temperature: temperature < LOWEST_TEMPERATURE ? 0 : temperature,
      stop,
      // The API answers with what fits and says so by finish_reason.
      contextPolicy: "stop",
      ...given("maxTokens", limits.find((limit) => limit !== undefined)),
      // Zero leaves the likeliest token alone, and so does the smallest share.
      ...given("topP", topP === 0 ? Number.EPSILON : topP),
      ...given("topK", topK === undefined || topK < 1 ? undefined : topK),
      ...given("minP", minP),
      ...given("repetitionPenalty", repetitionPenalty),
      ...given("presencePenalty", presencePenalty),
      ...given("frequencyPenalty", frequencyPenalty),
      ...given("logitBias", logitBias),
      ...given("seed", seed === undefined ? undefined : Math.abs(seed)),
    },
  };
}

/**
 * Refuses biases of tokens that a model does not have.
 *
 * @throws {ApiError} 400.
 */
export function requireVocabulary({ logitBias = {} }: GenerateOptions, vocabSize: number): void {
  const wrong = Object.keys(logitBias).find((id) => Number(id) >= vocabSize);
  if (wrong !== undefined) {
    throw invalid("logit_bias", `Expected token ids from 0 to ${vocabSize - 1} as keys of logit_bias, got ${wrong}`);
  }
}

function includesUsage(fields: Fields, stream: boolean): boolean {
  const value = fields.take("stream_options");
  if (value === undefined) return false;
  if (!stream) throw invalid("stream_options", "Expected stream_options only where stream is true");
  if (!isRecord(value)) throw invalid("stream_options", `Expected an object as stream_options, got ${shown(value)}`);
  const { include_usage: includeUsage = false } = value;
  if (typeof includeUsage !== "boolean") {
    throw invalid("stream_options.include_usage", `Expected true or false, got ${shown(includeUsage)}`);
  }
  return includeUsage;
}

function biasesOf(fields: Fields): Record<number, number> | undefined {
  const value = fields.take("logit_bias");
  if (value === undefined) return undefined;
  if (!isRecord(value)) throw invalid("logit_bias", `Expected an object as logit_bias, got ${shown(value)}`);
  const entries = Object.entries(value);
  if (entries.length > 1024) {
    throw invalid("logit_bias", `Expected at most 1024 entries in logit_bias, got ${entries.length}`);
  }
  for (const [id, bias] of entries) {
    if (!/^\d{1,9}$/.test(id)) {
      throw invalid("logit_bias", `Expected token ids as keys of logit_bias, got ${shown(id)}`);
    }
    if (typeof bias !== "number" || !(Math.abs(bias) <= 100)) {
      throw invalid("logit_bias", `Expected biases from -100 to 100 in logit_bias, got ${shown(bias)}`);
    }
  }
  return Object.fromEntries(entries.map(([id, bias]) => [Number(id), bias as number]));
}
