/**
 * Calls of tools in the text of an answer, in the forms that models were trained on:
 *
 *   Hermes and Qwen     <tool_call>{"name": "f", "arguments": {...}}</tool_call>, any number
 *   Mistral             [TOOL_CALLS][{"name": "f", "arguments": {...}}, ...]
 *   Llama 3             {"name": "f", "parameters": {...}}, alone, after <|python_tag|> or not
 *
 * @module
 */

/** A call that was found. */
export interface FoundCall {
  /** The tool's name. */
  readonly name: string;
  /** Arguments by name. */
  readonly arguments: Readonly<Record<string, unknown>>;
}

/** An answer, taken apart. */
export interface ParsedAnswer {
  /** What is said beside the calls, that `push` has not given yet. */
  readonly text: string;
  /** The calls, in order. */
  readonly calls: readonly FoundCall[];
}

/** What begins a call wherever it stands. */
const MARKERS = ["<tool_call>", "[TOOL_CALLS]", "<|python_tag|>"];

/** Lets the text of an answer through as it comes, until it may be a call. */
export class ToolCallParser {
  /** What has not been given: white space at the beginning, what may become a marker, and all that follows one. */
  #held = "";
  #isCall = false;
  #hasText = false;

  /**
   * Takes more text.
   *
   * @returns What is certainly no part of a call.
   */
  push(text: string): string {
    this.#held += text;
    if (this.#isCall) return "";
    if (!this.#hasText) {
      const begun = this.#held.trimStart();
      if (begun === "") return "";
      if (begun.startsWith("{")) {
        this.#isCall = true;
        return "";
      }
    }
    let end = this.#held.length;
    for (const marker of MARKERS) {
      const found = this.#held.indexOf(marker);
      if (found >= 0) {
        this.#isCall = true;
        end = Math.min(end, found);
      } else end = Math.min(end, this.#held.length - overlap(this.#held, marker));
    }
    return this.#give(end);
  }

  /** Ends the answer. What looked like a call and is none is text. */
  end(): ParsedAnswer {
    const calls = this.#isCall ? parseCalls(this.#held) : undefined;
    if (calls === undefined) return { text: this.#give(this.#held.length), calls: [] };
    this.#held = "";
    return { text: "", calls };
  }

  #give(end: number): string {
    const given = this.#held.slice(0, end);
    this.#held = this.#held.slice(end);
    if (given !== "") this.#hasText = true;
    return given;
  }
}

/** How many characters at the end of a text begin a marker. */
function overlap(text: string, marker: string): number {
  for (let length = Math.min(text.length, marker.length - 1); length > 0; length--) {
    if (text.endsWith(marker.slice(0, length))) return length;
  }
  return 0;
}

/** The calls of a text that is nothing else; undefined where it is something else. */
function parseCalls(text: string): FoundCall[] | undefined {
  const trimmed = text.trim();
  if (trimmed.startsWith("<tool_call>")) {
    const bodies = trimmed.split("<tool_call>").slice(1).map((part) => part.replace(/<\/tool_call>\s*$/, ""));
    return all(bodies.map((body) => callOf(parseJson(body))));
  }
  if (trimmed.startsWith("[TOOL_CALLS]")) {
    const list = parseJson(trimmed.slice("[TOOL_CALLS]".length));
    return Array.isArray(list) ? all(list.map(callOf)) : undefined;
  }
  const body = trimmed.replace(/^<\|python_tag\|>/, "");
  // Several calls stand one after the other, parted by semicolons.
  const whole = callOf(parseJson(body));
  return whole === undefined ? all(body.split(/;\s*(?=\{)/).map((part) => callOf(parseJson(part)))) : [whole];
}

function all<T>(values: readonly (T | undefined)[]): T[] | undefined {
  return values.length > 0 && values.every((value) => value !== undefined) ? values as T[] : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function callOf(value: unknown): FoundCall | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const { name, arguments: given, parameters } = value as Record<string, unknown>;
  let inner = given ?? parameters;
  // Some models write the arguments as a text, as the API has them.
  if (typeof inner === "string") inner = parseJson(inner);
  if (typeof name !== "string" || typeof inner !== "object" || inner === null || Array.isArray(inner)) return undefined;
  return { name, arguments: inner as Record<string, unknown> };
}
