/**
 * What a caller may hold a generation to, checked.
 *
 * @module
 */
import { GrammarError } from "../errors.ts";

/**
 * What a generated text has to match, from its first character to its last. A JSON Schema makes JSON that is valid under
 * it; a regular expression is in the notation of Rust's `regex`; Lark's is that of `llguidance`, whose `start` is the text.
 *
 * Of JSON Schema `llguidance` knows the keywords that say what a text may look like: `type`, `enum`, `const`, `properties`,
 * `required`, `additionalProperties`, `patternProperties`, `items`, `prefixItems`, bounds of lengths and numbers,
 * `multipleOf`, `pattern`, `format`, `anyOf`, `allOf`, `oneOf` where the cases exclude one another, and `$ref` within the
 * schema. JSON Schema's other keywords are refused: none is left unchecked. So is `x-guidance` at the top, llguidance's own,
 * which would change that. Words that are no keyword say nothing of a text.
 *
 * A text has no bound that the schema does not set: a small model may write digits until `maxTokens` ends it. A string is
 * bounded by `maxLength`, an array by `maxItems`, an integer by `minimum` and `maximum` together, and any other number by
 * these and a `multipleOf`, as 0.01.
 *
 * @example Ask for a record
 * ```ts
 * import { loadModel } from "@skein/skein";
 *
 * using model = await loadModel("tests/testdata/pg-nano-yarn-2k");
 * const jsonSchema = {
 *   type: "object",
 *   properties: { name: { type: "string", maxLength: 20 }, born: { type: "integer", minimum: 1700, maximum: 1899 } },
 *   required: ["name", "born"],
 *   additionalProperties: false,
 * };
 * const { text } = await model.generate("The captain: ", { grammar: { jsonSchema } }).result;
 * console.log(JSON.parse(text).born + 1);
 * ```
 */
export type Grammar =
  | { readonly jsonSchema: boolean | Readonly<Record<string, unknown>> }
  | { readonly regex: string }
  | { readonly lark: string };

/** The option that holds a generation to a grammar. */
export interface GrammarOptions {
  /**
   * Only tokens that continue a text of this grammar are selected, and the generation stops where the text is complete;
   * one that reaches `maxTokens` before ends by `"length"`, in the middle. It cannot be combined with `speculate`.
   * Default: any text.
   */
  readonly grammar?: Grammar;
}

/** A grammar as its worker takes it. */
export interface GrammarSource {
  /** Its notation. */
  readonly kind: "jsonSchema" | "regex" | "lark";
  /** Its text: JSON, an expression, or rules. */
  readonly source: string;
}

/** Characters of a grammar at most. */
const MOST_CHARACTERS = 2 ** 20;

/**
 * Checks the option's shape. What it says is checked when the generation begins.
 *
 * @throws {TypeError} If it is no grammar.
 * @throws {GrammarError} If it is too long.
 */
export function resolveGrammar(grammar: Grammar): GrammarSource {
  const [entry, ...others] = typeof grammar === "object" && grammar !== null ? Object.entries(grammar) : [];
  const [kind, value] = entry ?? [];
  if ((kind !== "jsonSchema" && kind !== "regex" && kind !== "lark") || others.length > 0) {
    throw new TypeError("grammar must be an object with one of jsonSchema, regex and lark");
  }
  const source = kind === "jsonSchema" ? jsonOf(value) : value;
  if (typeof source !== "string") throw new TypeError(`grammar.${kind} must be a string, got ${typeof value}`);
  if (source.length > MOST_CHARACTERS) {
    throw new GrammarError(
      "TooComplex",
      `Cannot use a grammar of ${source.length} characters: at most ${MOST_CHARACTERS} are allowed`,
    );
  }
  return { kind, source };
}

function jsonOf(schema: unknown): string {
  const kind = schema === null ? "null" : Array.isArray(schema) ? "an array" : typeof schema;
  if (kind !== "boolean" && kind !== "object") {
    throw new TypeError(`grammar.jsonSchema must be an object or a boolean, got ${kind}`);
  }
  try {
    return JSON.stringify(schema);
  } catch (cause) {
    throw new TypeError("grammar.jsonSchema must be what JSON can spell", { cause });
  }
}
