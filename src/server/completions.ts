/**
 * `POST /v1/completions`.
 *
 * @module
 */
import type { TextChunk } from "../api/generation.ts";
import { readCompletionRequest } from "./completion_request.ts";
import type { Engine, EngineResult } from "./engine.ts";
import type { Exchange } from "./exchange.ts";
import { encodePrompt } from "./prompts.ts";
import { requireVocabulary } from "./sampling_fields.ts";
import { type CompletionLogprobs, joinLogprobs, TokenTexts } from "./token_texts.ts";
import { answerId, unixSeconds, type Usage, usageOf } from "./usage.ts";

/** What has been sent of one choice, and what stands before its completion. */
interface Sent {
  /** Characters of its text. */
  length: number;
  /** The prompt, where it is echoed. */
  readonly echo: string;
  /** The prompt's log-probabilities, where they are asked for. */
  readonly echoLogprobs: CompletionLogprobs | undefined;
}

/**
 * Answers a completion.
 *
 * @param engineOf The engine of a model's id.
 * @returns What it cost.
 * @throws {ApiError} For a wrong request; nothing has been sent then.
 */
export async function completions(exchange: Exchange, engineOf: (model: string) => Engine): Promise<Usage> {
  const request = readCompletionRequest(await exchange.readJson());
  const engine = engineOf(request.model);
  const { model: { tokenizer } } = engine;
  const { options, n, echo } = request;
  const { topLogprobs, maxTokens } = options;
  requireVocabulary(options, engine.model.config.vocabSize);
  const prompts = request.prompts.map((prompt) => encodePrompt(engine.model, prompt));
  const texts = new TokenTexts(tokenizer);
  const { signal } = exchange;
  const sent: Sent[] = [];
  for (const [at, prompt] of prompts.entries()) {
    const given = request.prompts[at]!;
    const echoLogprobs = echo && topLogprobs !== undefined
      ? texts.prompt(prompt, await engine.score(prompt, signal))
      : undefined;
    const text = !echo ? "" : typeof given === "string" ? given : tokenizer.decode(prompt, { skipSpecialTokens: true });
    for (let i = 0; i < n; i++) sent.push({ length: text.length, echo: text, echoLogprobs });
  }
  const head = { id: answerId("cmpl"), object: "text_completion", created: unixSeconds(), model: engine.id };
  const logprobsOf = (told: TextChunk["logprobs"], offset: number) =>
    told === undefined ? null : texts.completion(told, offset);
  const events = request.stream ? exchange.events() : undefined;
  const usageField = request.includeUsage ? { usage: null } : {};
  const piece = (index: number, text: string, logprobs: CompletionLogprobs | null, finish: string | null) =>
    events!.send({ ...head, choices: [{ text, index, logprobs, finish_reason: finish }], ...usageField });
  const result = maxTokens === 0 ? nothing(sent.length) : await engine.run({
    prompts,
    n,
    options,
    signal,
    onChunk: async (index, { text, logprobs }) => {
      if (events === undefined) return;
      const choice = sent[index]!;
      if (echo && choice.length === choice.echo.length) {
        await piece(index, choice.echo, choice.echoLogprobs ?? null, null);
      }
      await piece(index, text, logprobsOf(logprobs, choice.length), null);
      choice.length += text.length;
    },
  });
  const usage = usageOf(prompts, result);
  if (events !== undefined) {
    for (const [index, { finishReason }] of result.choices.entries()) {
      const { length, echo: prompt, echoLogprobs } = sent[index]!;
      const isUnsaid = echo && length === prompt.length;
      await piece(index, isUnsaid ? prompt : "", isUnsaid ? echoLogprobs ?? null : null, finishReason);
    }
    if (request.includeUsage) await events.send({ ...head, choices: [], usage });
    await events.send("[DONE]");
  } else {
    const choices = result.choices.map(({ text, finishReason, logprobs }, index) => {
      const { echo: prompt, echoLogprobs, length } = sent[index]!;
      const own = logprobsOf(logprobs, length);
      return {
        text: prompt + text,
        index,
        logprobs: echoLogprobs !== undefined && own !== null ? joinLogprobs(echoLogprobs, own) : echoLogprobs ?? own,
        finish_reason: finishReason,
      };
    });
    exchange.json(200, { ...head, choices, usage });
  }
  return usage;
}

/** What comes of no tokens: only an echoed prompt may ask for none. */
function nothing(nChoices: number): EngineResult {
  const timings = {
    prefillMs: 0,
    prefillTokensPerSecond: null,
    firstTokenMs: 0,
    decodeMs: 0,
    decodeTokensPerSecond: null,
  };
  const choice = {
    text: "",
    tokens: [],
    finishReason: "length",
    contextSlides: 0,
    usage: { promptTokens: 0, completionTokens: 0 },
    timings,
  } as const;
  return { choices: Array(nChoices).fill(choice), cachedTokens: 0 };
}
