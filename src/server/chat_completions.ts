/**
 * `POST /v1/chat/completions`.
 *
 * @module
 */
import type { TextChunk } from "../api/generation.ts";
import { type FoundCall, ToolCallParser } from "../chat/tool_calls.ts";
import { toolFault } from "../chat/tool_grammar.ts";
import { GrammarError } from "../errors.ts";
import { callGrammar } from "./answer_format.ts";
import { invalid } from "./api_error.ts";
import { readChatRequest } from "./chat_request.ts";
import type { Engine } from "./engine.ts";
import type { Exchange } from "./exchange.ts";
import { requireRoom, requireShort } from "./prompts.ts";
import { requireVocabulary } from "./sampling_fields.ts";
import { TokenTexts } from "./token_texts.ts";
import { answerId, unixSeconds, type Usage, usageOf } from "./usage.ts";

/** One choice on its way. */
interface Choice {
  /** Whether its role has been sent. */
  begun: boolean;
  /** What has been said. */
  text: string;
  /** Finds calls, where there are tools. */
  readonly parser: ToolCallParser | undefined;
}

/**
 * Answers a chat.
 *
 * @param engineOf The engine of a model's id.
 * @returns What it cost.
 * @throws {ApiError} For a wrong request; nothing has been sent then.
 */
export async function chatCompletions(exchange: Exchange, engineOf: (model: string) => Engine): Promise<Usage> {
  const request = readChatRequest(await exchange.readJson());
  const engine = engineOf(request.model);
  const { messages, toolUse, variables, n } = request;
  const tools = toolUse?.tools;
  requireVocabulary(request.options, engine.model.config.vocabSize);
  requireShort(engine.model, messages.reduce((sum, { content }) => sum + content.length, 0));
  const { tokens } = await engine.model.renderChat(messages, { variables, ...(tools === undefined ? {} : { tools }) });
  const prompt = requireRoom(engine.model, Array.from(tokens), "messages");
  const grammar = toolUse === undefined ? request.responseGrammar : callGrammar(toolUse, engine.model);
  const options = grammar === undefined ? request.options : { ...request.options, grammar };
  const texts = new TokenTexts(engine.model.tokenizer);
  const head = { id: answerId("chatcmpl"), created: unixSeconds(), model: engine.id };
  const choices = Array.from({ length: n }, (): Choice => ({
    begun: false,
    text: "",
    parser: tools === undefined ? undefined : new ToolCallParser(),
  }));
  const logprobsOf = (told: TextChunk["logprobs"]) =>
    told === undefined ? null : { ...texts.chat(told), refusal: null };
  const events = request.stream ? exchange.events() : undefined;
  const delta = async (index: number, fields: object, logprobs: object | null, finish: string | null) => {
    const choice = choices[index]!;
    const role = choice.begun ? {} : { role: "assistant" };
    choice.begun = true;
    await events!.send({
      ...head,
      object: "chat.completion.chunk",
      choices: [{ index, delta: { ...role, ...fields }, logprobs, finish_reason: finish }],
      ...(request.includeUsage ? { usage: null } : {}),
    });
  };
  const result = await engine.run({
    prompts: [prompt],
    n,
    options,
    signal: exchange.signal,
    onChunk: async (index, { text, logprobs }) => {
      const choice = choices[index]!;
      const content = choice.parser === undefined ? text : choice.parser.push(text);
      choice.text += content;
      if (events === undefined || content === "" && logprobs === undefined) return;
      await delta(index, { content }, logprobsOf(logprobs), null);
    },
  }).catch((error) => {
    if (!(error instanceof GrammarError)) throw error;
    throw toolUse === undefined || grammar === undefined
      ? invalid("response_format", error.message)
      : invalid("tools", toolFault(toolUse.callable, grammar, error.message));
  });
  const usage = usageOf([prompt], result);
  const ends = result.choices.map(({ finishReason, logprobs }, index) => {
    const choice = choices[index]!;
    const { text, calls } = choice.parser?.end() ?? { text: "", calls: [] };
    choice.text += text;
    return { rest: text, calls: calls.map(callOf), finish: calls.length > 0 ? "tool_calls" : finishReason, logprobs };
  });
  if (events !== undefined) {
    for (const [index, { rest, calls, finish }] of ends.entries()) {
      if (rest !== "") await delta(index, { content: rest }, null, null);
      for (const [at, call] of calls.entries()) {
        await delta(index, { tool_calls: [{ index: at, ...call }] }, null, null);
      }
      await delta(index, {}, null, finish);
    }
    if (request.includeUsage) await events.send({ ...head, object: "chat.completion.chunk", choices: [], usage });
    await events.send("[DONE]");
  } else {
    exchange.json(200, {
      ...head,
      object: "chat.completion",
      choices: ends.map(({ calls, finish, logprobs }, index) => {
        const { text } = choices[index]!;
        return {
          index,
          message: {
            role: "assistant",
            content: calls.length > 0 && text === "" ? null : text,
            refusal: null,
            ...(calls.length === 0 ? {} : { tool_calls: calls }),
          },
          logprobs: logprobsOf(logprobs),
          finish_reason: finish,
        };
      }),
      usage,
    });
  }
  return usage;
}

function callOf({ name, arguments: inner }: FoundCall) {
  return { id: answerId("call"), type: "function", function: { name, arguments: JSON.stringify(inner) } };
}
