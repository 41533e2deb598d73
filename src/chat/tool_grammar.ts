/**
 * Answers that call tools as they are meant to be called: the grammar of the form that a model's template has for calls,
 * in which arguments are valid under their tool's schema. `tool_calls.ts` reads them.
 *
 * @module
 */
import type { Grammar } from "../grammar/grammar.ts";
import type { Tool } from "./message.ts";

/** A tool that may be called, and how its arguments are checked. */
export interface CallableTool extends Tool {
  /** Whether every keyword of its schema counts, so that one that is not known is an error; else it is passed over. */
  readonly isStrict: boolean;
}

/** What the grammar depends on. */
export interface ToolGrammarOptions {
  /** The model's template, in whose text the form of calls is looked for. */
  readonly template: string;
  /** Ids of the tokens that stand for no text, by their names: a marker may be one. */
  readonly specialTokens: ReadonlyMap<string, number>;
  /** Whether the answer is a call; else it may be one. */
  readonly isRequired: boolean;
}

/** How a call is written. */
interface CallForm {
  /** What stands before the call. */
  readonly open: string;
  /** What stands after it. */
  readonly close: string;
  /** What begins an answer that is a call, for a regular expression; no other answer has it. */
  readonly mark: string;
  /** What the arguments are called. */
  readonly key: "arguments" | "parameters";
}

function formOf(template: string): CallForm {
  if (template.includes("<tool_call>")) {
    return { open: "<tool_call>", close: "</tool_call>", mark: "<tool_call>", key: "arguments" };
  }
  if (template.includes("[TOOL_CALLS]")) {
    return { open: "[TOOL_CALLS]", close: "", mark: "\\[TOOL_CALLS\\]", key: "arguments" };
  }
  return { open: "", close: "", mark: "", key: "parameters" };
}

/** The grammar of answers with one call of one of the tools, or where none is required, of any other text. */
export function toolGrammar(tools: readonly CallableTool[], options: ToolGrammarOptions): Grammar {
  const { open, close, mark, key } = formOf(options.template);
  // A marker that is a token of its own has no text that a grammar could spell.
  const spelled = (marker: string) => {
    const id = options.specialTokens.get(marker);
    return marker === "" ? [] : [id === undefined ? JSON.stringify(marker) : `<[${id}]>`];
  };
  const isList = open === "[TOOL_CALLS]";
  const space = open === "<tool_call>" ? ["/\\n?/"] : [];
  const body = ["call", ...space];
  const rest = [...(isList ? ['"["', "call", '"]"'] : [...space, ...body]), ...spelled(close)];
  const calls = tools.map(({ function: { name, parameters }, isStrict }) =>
    `%json ${
      JSON.stringify({
        "x-guidance": { whitespace_pattern: " ?", ...(isStrict ? {} : { lenient: true }) },
        type: "object",
        properties: { name: { const: name }, [key]: { type: "object", ...parameters } },
        required: ["name", key],
        additionalProperties: false,
        ...definitionsOf(parameters),
      })
    }`
  );
  const lines = [
    `call: ${calls.map((_, i) => `call_${i}`).join(" | ")}`,
    ...calls.map((call, i) => `call_${i}: ${call}`),
  ];
  const called = [...spelled(open), ...rest].join(" ");
  if (options.isRequired) return { lark: [`start: ${called}`, ...lines].join("\n") };
  if (mark === "") return { lark: [`start: ${called} | TEXT`, "TEXT: /(\\s*[^{\\s](.|\\n)*)?/", ...lines].join("\n") };
  const isToken = options.specialTokens.has(open);
  const text = isToken ? "TEXT: /(.|\\n)*/" : `TEXT: /(.|\\n)*/ & ~/(.|\\n)*${mark}(.|\\n)*/`;
  const before = isToken ? ["TEXT", ...spelled(open)] : ["before"];
  return {
    lark: [
      `start: TEXT | ${[...before, ...rest].join(" ")}`,
      text,
      ...(isToken ? [] : [`before[lazy]: /(.|\\n)*${mark}/`]),
      ...lines,
    ].join("\n"),
  };
}

/** What `GrammarWorkers` say of the parameters of one of the tools, said of it; of anything else, as it is. */
export function toolFault(tools: readonly CallableTool[], grammar: Grammar, message: string): string {
  const [, line, said = ""] = /: line (\d+), column \d+: (.*)$/s.exec(message) ?? [];
  const rule = "lark" in grammar ? grammar.lark.split("\n")[Number(line) - 1] ?? "" : "";
  const tool = tools[Number(/^call_(\d+): /.exec(rule)?.[1] ?? NaN)];
  if (tool === undefined) return message;
  const where = said.replace(/^at #\/properties\/(arguments|parameters)(?=[/:])/, "at #");
  return `Cannot use the parameters of tool ${JSON.stringify(tool.function.name)}: ${where.replace(/^at #: /, "")}`;
}

/** Definitions stand at the top of a schema, where references look for them. */
function definitionsOf(parameters: Tool["function"]["parameters"] = {}): Record<string, unknown> {
  const { $defs, definitions } = parameters;
  return { ...($defs === undefined ? {} : { $defs }), ...(definitions === undefined ? {} : { definitions }) };
}
