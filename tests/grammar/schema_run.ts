/**
 * Generations that are held to JSON Schemas, each parsed and validated by a validator that is not ours.
 *
 * @module
 */
import type { Model } from "../../mod.ts";
import { violations } from "./ajv.ts";
import { type JsonSchema, schemas } from "./json_schemas.ts";

/** Tokens of a text at most: every schema here is done long before, whatever is selected. */
const MOST_TOKENS = 1500;

/** What came of one generation. */
export interface SchemaTrial {
  /** The schema's name. */
  readonly name: string;
  /** What was generated. */
  readonly text: string;
  /** What is wrong with it; empty if nothing is. */
  readonly wrong: string;
}

/**
 * Generates `count` texts at temperature 1, one schema after the other, several at a time.
 *
 * @param seed Says what is sampled.
 */
export async function* trySchemas(model: Model, count: number, seed: number): AsyncGenerator<SchemaTrial> {
  const named = Object.entries(schemas);
  const width = 8;
  for (let first = 0; first < count; first += width) {
    const trials = Array.from({ length: Math.min(width, count - first) }, async (_, i) => {
      const [name, schema] = named[(first + i) % named.length]!;
      const { text, finishReason } = await model.generate("He answered, in the words of the clerk: ", {
        maxTokens: MOST_TOKENS,
        temperature: 1,
        seed: seed + first + i,
        grammar: { jsonSchema: schema as JsonSchema },
      }).result;
      return { name, text, wrong: finishReason === "stop" ? wrongWith(schema, text) : `it ends by ${finishReason}` };
    });
    yield* await Promise.all(trials);
  }
}

function wrongWith(schema: JsonSchema, text: string): string {
  try {
    return violations(schema, JSON.parse(text));
  } catch (error) {
    return (error as Error).message;
  }
}
