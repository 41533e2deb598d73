/**
 * What a request says about the form of its answer: JSON, and calls of tools.
 *
 * @module
 */
import type { Model } from "../api/model.ts";
import { type CallableTool, toolGrammar } from "../chat/tool_grammar.ts";
import type { Grammar } from "../grammar/grammar.ts";
import { invalid } from "./api_error.ts";
import { Fields, isRecord, shown } from "./fields.ts";

/** Tools of one request. */
const MOST_TOOLS = 128;

/** How tools may be used. */
export interface ToolUse {
  /** Tools that the assistant may call. */
  readonly tools: readonly CallableTool[];
  /** Those of them that the answer may call; all but where one is named. */
  readonly callable: readonly CallableTool[];
  /** Whether the answer has to be a call. */
  readonly isRequired: boolean;
  /** Whether the answer may be several calls, where no grammar holds it to one. */
  readonly isParallel: boolean;
}

/**
 * The grammar that `response_format` asks for; none for text.
 *
 * @throws {ApiError} If it is of no known type, or has no schema.
 */
export function responseGrammar(fields: Fields): Grammar | undefined {
  const value = fields.take("response_format");
  if (value === undefined) return undefined;
  const format = new Fields(value, "response_format");
  const type = format.text("type");
  if (type === "text") return undefined;
  if (type === "json_object") return { jsonSchema: { type: "object" } };
  if (type !== "json_schema") {
    throw invalid(
      "response_format.type",
      `Expected "text", "json_object" or "json_schema" as response_format.type, got ${shown(type ?? null)}`,
    );
  }
  const inner = new Fields(format.take("json_schema"), "response_format.json_schema");
  if (inner.text("name") === undefined) throw invalid(inner.name("name"), `Expected a text as ${inner.name("name")}`);
  inner.text("description");
  // What is held to a schema at all is held to all of it.
  inner.boolean("strict");
  const schema = inner.take("schema") ?? {};
  if (!isRecord(schema)) throw invalid(inner.name("schema"), `Expected a JSON Schema as ${inner.name("schema")}`);
  inner.end();
  format.end();
  return { jsonSchema: schema };
}

/**
 * The tools of a request; none where there are none or the answer may not call them.
 *
 * @throws {ApiError} If they are none, or the choice names none of them.
 */
export function toolUse(fields: Fields): ToolUse | undefined {
  const value = fields.take("tools");
  const choice = fields.take("tool_choice");
  const isParallel = fields.boolean("parallel_tool_calls") ?? true;
  if (value !== undefined && !Array.isArray(value)) {
    throw invalid("tools", `Expected an array as tools, got ${shown(value)}`);
  }
  const list: readonly unknown[] = value ?? [];
  if (list.length > MOST_TOOLS) throw invalid("tools", `Expected at most ${MOST_TOOLS} tools, got ${list.length}`);
  const tools = list.map((tool, index) => toolOf(tool, `tools[${index}]`));
  const named = nameOf(choice);
  const callable = named === undefined ? tools : tools.filter((tool) => tool.function.name === named);
  const isRequired = named !== undefined || choice === "required";
  if (isRequired && callable.length === 0) {
    throw invalid(
      "tool_choice",
      `Expected a tool in tools for tool_choice ${shown(choice)}, got ${
        shown(tools.map((tool) => tool.function.name))
      }`,
    );
  }
  return choice === "none" || tools.length === 0 ? undefined : { tools, callable, isRequired, isParallel };
}

/**
 * The grammar of answers that call tools; none where nothing is asked of the calls.
 */
export function callGrammar(use: ToolUse, { chatTemplate = "", tokenizer }: Model): Grammar | undefined {
  if (!use.isRequired && use.isParallel && !use.callable.some(({ isStrict }) => isStrict)) return undefined;
  const special = [...tokenizer.specialIds].map((id) => [tokenizer.piece(id) ?? "", id] as const);
  return toolGrammar(use.callable, {
    template: chatTemplate,
    specialTokens: new Map(special),
    isRequired: use.isRequired,
  });
}

/** The name in `tool_choice`; none where it is a word. */
function nameOf(choice: unknown): string | undefined {
  if (choice === undefined || ["auto", "none", "required"].includes(choice as string)) return undefined;
  const name = isRecord(choice) && choice.type === "function" && isRecord(choice.function)
    ? choice.function.name
    : undefined;
  if (typeof name === "string") return name;
  throw invalid(
    "tool_choice",
    `Expected "auto", "none", "required" or a function by its name as tool_choice, got ${shown(choice)}`,
  );
}

function toolOf(value: unknown, path: string): CallableTool {
  const fields = new Fields(value, path);
  const type = fields.text("type");
  if (type !== "function") {
    throw invalid(`${path}.type`, `Expected "function" as ${path}.type, got ${shown(type ?? null)}`);
  }
  const inner = new Fields(fields.take("function"), fields.name("function"));
  const name = inner.text("name");
  const description = inner.text("description");
  const parameters = inner.take("parameters");
  const isStrict = inner.boolean("strict") ?? false;
  if (name === undefined) throw invalid(inner.name("name"), `Expected a text as ${inner.name("name")}`);
  if (parameters !== undefined && !isRecord(parameters)) {
    throw invalid(inner.name("parameters"), `Expected a JSON Schema as ${inner.name("parameters")}`);
  }
  fields.end();
  inner.end();
  return {
    type: "function",
    isStrict,
    function: {
      name,
      ...(description === undefined ? {} : { description }),
      ...(parameters === undefined ? {} : { parameters }),
    },
  };
}
