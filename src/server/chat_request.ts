/**
 * What `POST /v1/chat/completions` is asked for.
 *
 * @module
 */
import type { ChatMessage, Tool, ToolCall } from "../chat/message.ts";
import { invalid } from "./api_error.ts";
import { Fields, isRecord, shown } from "./fields.ts";
import { type SharedRequest, sharedRequest } from "./sampling_fields.ts";

/** A checked request. */
export interface ChatRequest extends SharedRequest {
  /** The conversation, as templates take it. */
  readonly messages: readonly ChatMessage[];
  /** Tools that the assistant may call; undefined where it may call none. */
  readonly tools: readonly Tool[] | undefined;
  /** More variables of the template. */
  readonly variables: Readonly<Record<string, unknown>>;
}

const NO_GRAMMAR = "answers cannot be held to a grammar yet; ask for it in the messages";

/** Messages and tools of one request. */
const MOST_MESSAGES = 10_000;
const MOST_TOOLS = 128;

/**
 * Checks a request.
 *
 * @throws {ApiError} With the first field that is wrong.
 */
export function readChatRequest(body: unknown): ChatRequest {
  const fields = new Fields(body);
  const shared = sharedRequest(fields, ["max_completion_tokens", "max_tokens"], 1);
  const messages = messagesOf(fields.take("messages"));
  const tools = toolsOf(fields);
  const logprobs = fields.boolean("logprobs") ?? false;
  const topLogprobs = fields.integer("top_logprobs", { min: 0, max: 20 });
  if (topLogprobs !== undefined && !logprobs) {
    throw invalid("top_logprobs", "Expected logprobs to be true where top_logprobs is given");
  }
  const variables = fields.take("chat_template_kwargs") ?? {};
  if (!isRecord(variables)) {
    throw invalid("chat_template_kwargs", `Expected an object as chat_template_kwargs, got ${shown(variables)}`);
  }
  fields.refuse("response_format", NO_GRAMMAR, (value) => isRecord(value) && value.type === "text");
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
    tools,
    variables,
    options: {
      ...shared.options,
      // Without a limit an answer ends where the model ends it, or with the context.
      maxTokens: shared.options.maxTokens ?? 2 ** 31 - 1,
      ...(logprobs ? { topLogprobs: topLogprobs ?? 0 } : {}),
      // A parser of tool calls must see the tokens that frame them.
      keepSpecialTokens: tools !== undefined,
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

function toolsOf(fields: Fields): Tool[] | undefined {
  const value = fields.take("tools");
  const choice = fields.take("tool_choice");
  fields.boolean("parallel_tool_calls");
  if (choice !== undefined && choice !== "auto" && choice !== "none") {
    throw invalid(
      "tool_choice",
      `Cannot use tool_choice ${shown(choice)}: a call cannot be forced; set it to "auto" or "none"`,
      "unsupported_parameter",
    );
  }
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) throw invalid("tools", `Expected an array as tools, got ${shown(value)}`);
  if (value.length > MOST_TOOLS) throw invalid("tools", `Expected at most ${MOST_TOOLS} tools, got ${value.length}`);
  const tools = value.map((tool, index) => toolOf(tool, `tools[${index}]`));
  return choice === "none" || tools.length === 0 ? undefined : tools;
}

function toolOf(value: unknown, path: string): Tool {
  const fields = new Fields(value, path);
  const type = fields.text("type");
  if (type !== "function") {
    throw invalid(`${path}.type`, `Expected "function" as ${path}.type, got ${shown(type ?? null)}`);
  }
  const inner = new Fields(fields.take("function"), fields.name("function"));
  const name = inner.text("name");
  const description = inner.text("description");
  const parameters = inner.take("parameters");
  const strict = inner.boolean("strict");
  if (strict === true) throw invalid(inner.name("strict"), `Cannot use ${inner.name("strict")}: ${NO_GRAMMAR}`);
  if (name === undefined) throw invalid(inner.name("name"), `Expected a text as ${inner.name("name")}`);
  if (parameters !== undefined && !isRecord(parameters)) {
    throw invalid(inner.name("parameters"), `Expected a JSON Schema as ${inner.name("parameters")}`);
  }
  fields.end();
  inner.end();
  return {
    type: "function",
    function: {
      name,
      ...(description === undefined ? {} : { description }),
      ...(parameters === undefined ? {} : { parameters }),
    },
  };
}
