/**
 * The options that hold a generation to a grammar.
 *
 * @module
 */
import type { FinishReason, Grammar } from "../../mod.ts";
import { readJsonFile, readTextFile } from "./command.ts";
import { text, UsageError, type Values } from "./options.ts";

/** The options. */
export const grammarOptions = {
  "json-schema": text("FILE|JSON", "Generate JSON that is valid under this schema"),
  "regex": text("EXPRESSION", "Generate a text that this regular expression matches as a whole"),
  "grammar": text("FILE", "Generate a text of this grammar, in Lark's notation"),
};

/** The grammar that was asked for. */
export async function grammarOf(values: Values<typeof grammarOptions>): Promise<Grammar | undefined> {
  const { "json-schema": schema, regex, grammar: file } = values;
  const given = (["json-schema", "regex", "grammar"] as const).filter((name) => values[name] !== undefined);
  if (given.length > 1) {
    throw new UsageError(`Expected one of ${given.map((name) => `--${name}`).join(" and ")}, got ${given.length}`);
  }
  if (schema !== undefined) return { jsonSchema: await schemaOf(schema) };
  if (regex !== undefined) return { regex };
  return file === undefined ? undefined : { lark: await readTextFile("--grammar", file) };
}

/** What stderr says of a text that ended before its grammar did; undefined where it did not. */
export function cutNote(grammar: Grammar | undefined, finishReason: FinishReason): string | undefined {
  if (grammar === undefined || finishReason !== "length") return undefined;
  const bounds = "jsonSchema" in grammar ? ", or bound the schema by maxLength, maxItems, maximum or multipleOf" : "";
  return `note: the text ended at a limit of tokens and may be incomplete for its grammar; raise --max-tokens${bounds}`;
}

async function schemaOf(value: string): Promise<boolean | Record<string, unknown>> {
  let schema: unknown;
  if (/^\s*[{[]|^(true|false)$/.test(value)) {
    try {
      schema = JSON.parse(value);
    } catch (cause) {
      throw new UsageError(`Cannot use --json-schema: ${(cause as Error).message}`, { cause });
    }
  } else schema = await readJsonFile("--json-schema", value);
  const isObject = typeof schema === "object" && schema !== null && !Array.isArray(schema);
  if (!isObject && typeof schema !== "boolean") {
    throw new UsageError("Cannot use --json-schema: expected an object, which a JSON Schema is");
  }
  return schema as boolean | Record<string, unknown>;
}
