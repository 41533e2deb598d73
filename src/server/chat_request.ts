/**
 * What `POST /v1/chat/completions` is asked for.
 *
 * @module
 */
import type { ChatMessage, ToolCall } from "../chat/message.ts";
import type { Grammar } from "../grammar/grammar.ts";
import { responseGrammar, type ToolUse, toolUse } from "./answer_format.ts";
import { invalid } from "./api_error.ts";
import { Fields, isRecord, shown } from "./fields.ts";
import { type SharedRequest, sharedRequest } from "./sampling_fields.ts";

/** A checked request. */
export interface ChatRequest extends SharedRequest {
  /** The conversation, as templates take it. */
  readonly messages: readonly ChatMessage[];
  /** Tools that the assistant may call; undefined where it may call none. */
  readonly toolUse: ToolUse | undefined;
  /** What the answer is held to; undefined where it is any text. */
  readonly responseGrammar: Grammar | undefined;
  /** More variables of the template. */
  readonly variables: Readonly<Record<string, unknown>>;
}

/** Messages of one request. */
const MOST_MESSAGES = 10_000;

/**
 * Checks a request.
 *
 * @throws {ApiError} With the first field that is wrong.
 */
export function readChatRequest(body: unknown): ChatRequest {
  const fields = new Fields(body);
  const shared = sharedRequest(fields, ["max_completion_tokens", "max_tokens"], 1);
  const messages = messagesOf(fields.take("messages"));
  const use = toolUse(fields);
  const grammar = responseGrammar(fields);
  if (use !== undefined && grammar !== undefined) {
    throw invalid(
      "response_format",
      "Cannot hold an answer that may call tools to a response_format: set tool_choice to none, or leave out one of the two",
      "unsupported_parameter",
    );
  }
  const logprobs = fields.boolean("logprobs") ?? false;
  const topLogprobs = fields.integer("top_logprobs", { min: 0, max: 20 });
  if (topLogprobs !== undefined && !logprobs) {
    throw invalid("top_logprobs", "Expected logprobs to be true where top_logprobs is given");
  }
  const variables = fields.take("chat_template_kwargs") ?? {};
  if (!isRecord(variables)) {
    throw invalid("chat_template_kwargs", `Expected an object as chat_template_kwargs, got ${shown(variables)}`);
  }
  fields.refuse("functions", "it is older than tools; use tools");
  fields.refuse("function_call", "it is older than tool_choice; use tools");
  fields.refuse("audio", "these models make text only");
  fields.refuse("modalities", "these models make text only", (value) => JSON.stringify(value) === '["text"]');
  fields.refuse("prediction", "answers are not predicted");
  fields.refuse("reasoning_effort", "models here have no such setting; see chat_template_kwargs");
  fields.refuse("verbosity", "models here have no such setting");
  fields.refuse("web_search_options", "this server does not search");
  fields.end();
  return {
    ...shared,
    messages,
    toolUse: use,
    responseGrammar: grammar,
    variables,
    options: {
      ...shared.options,
      // Without a limit an answer ends where the model ends it, or with the context.
      maxTokens: shared.options.maxTokens ?? 2 ** 31 - 1,
      ...(logprobs ? { topLogprobs: topLogprobs ?? 0 } : {}),
      // A parser of tool calls must see the tokens that frame them.
      keepSpecialTokens: use !== undefined,
    },
  };
}

function messagesOf(value: unknown): ChatMessage[] {
  if (!Array.isArray(value)) throw invalid("messages", `Expected an array as messages, got ${shown(value)}`);
  if (value.length === 0) throw invalid("messages", "Expected at least one message, got an empty array");
  if (value.length > MOST_MESSAGES) {
    throw invalid("messages", `Expected at most ${MOST_MESSAGES} messages, got ${value.length}`);
  }
  return value.map((message, index) => messageOf(message, `messages[${index}]`));
}

const ROLES = ["system", "developer", "user", "assistant", "tool"];

function messageOf(value: unknown, path: string): ChatMessage {
  const fields = new Fields(value, path);
  const role = fields.text("role");
  if (role === undefined || !ROLES.includes(role)) {
    throw invalid(`${path}.role`, `Expected one of ${ROLES.join(", ")} as ${path}.role, got ${shown(role ?? null)}`);
  }
  const calls = role === "assistant" ? fields.take("tool_calls") : undefined;
  const toolCalls = calls === undefined ? [] : toolCallsOf(calls, `${path}.tool_calls`);
  const content = contentOf(fields.take("content"), `${path}.content`);
  if (content === undefined && toolCalls.length === 0) {
    throw invalid(`${path}.content`, `Expected a text as ${path}.content`);
  }
  const name = fields.text("name");
  const toolCallId = role === "tool" ? fields.text("tool_call_id") : undefined;
  fields.ignore(role === "assistant" ? ["refusal", "audio", "annotations", "function_call", "reasoning_content"] : []);
  fields.end();
  return {
    // OpenAI's newer word for what every template calls system.
    role: role === "developer" ? "system" : role,
    content: content ?? "",
    ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls }),
    ...(name === undefined ? {} : { name }),
    ...(toolCallId === undefined ? {} : { tool_call_id: toolCallId }),
  };
}

function contentOf(value: unknown, path: string): string | undefined {
  if (value === undefined) return undefined;
  const parts = Array.isArray(value) ? value : [{ type: "text", text: value }];
  return parts.map((part, index) => {
    const where = Array.isArray(value) ? `${path}[${index}]` : path;
    if (isRecord(part) && part.type !== "text") {
      throw invalid(where, `Cannot use content of type ${shown(part.type)}: these models read text only`);
    }
    const text = isRecord(part) ? part.text : undefined;
    if (typeof text !== "string") throw invalid(where, `Expected a text as ${where}, got ${shown(part)}`);
    if (!text.isWellFormed()) throw invalid(where, `Expected well-formed Unicode as ${where}`);
    return text;
  }).join("");
}

function toolCallsOf(value: unknown, path: string): ToolCall[] {
  if (!Array.isArray(value)) throw invalid(path, `Expected an array as ${path}, got ${shown(value)}`);
  return value.map((call, index) => {
    const fields = new Fields(call, `${path}[${index}]`);
    const id = fields.text("id");
    const type = fields.text("type") ?? "function";
    const inner = new Fields(fields.take("function"), fields.name("function"));
    const name = inner.text("name");
    const text = inner.text("arguments") ?? "{}";
    if (type !== "function" || name === undefined) {
      throw invalid(path, `Expected calls of functions by name in ${path}`);
    }
    let parsed: unknown;
    try {
      parsed = JSON.parse(text);
    } catch {
      parsed = undefined;
    }
    if (!isRecord(parsed)) throw invalid(inner.name("arguments"), `Expected a JSON object, got ${shown(text)}`);
    return { ...(id === undefined ? {} : { id }), type: "function", function: { name, arguments: parsed } };
  });
}
