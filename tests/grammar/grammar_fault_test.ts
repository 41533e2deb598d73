import { assertEquals, assertRejects } from "@std/assert";
import { toolFault, toolGrammar } from "../../src/chat/tool_grammar.ts";
import { GrammarError } from "../../src/errors.ts";
import { type Grammar, resolveGrammar } from "../../src/grammar/grammar.ts";
import type { GrammarWorkers } from "../../src/grammar/grammar_workers.ts";
import { grammarWorkers } from "./grammar_fixture.ts";

/** What is said of a grammar that cannot be used. */
async function refusalOf(workers: GrammarWorkers, grammar: Grammar): Promise<string> {
  return (await assertRejects(() => workers.begin(resolveGrammar(grammar)), GrammarError)).message;
}

const record = (born: unknown, rest = {}): Grammar => ({
  jsonSchema: { type: "object", properties: { name: { type: "string" }, born }, ...rest },
});

const REFUSED: readonly (readonly [Grammar, string])[] = [
  [
    record({ type: "strin" }),
    'the JSON Schema: at #/properties/born: type "strin" is not one of string, number, integer, boolean, null, array and object',
  ],
  [
    record({ anyOf: [{ type: "null" }, { items: { uniqueItems: true } }] }),
    'the JSON Schema: at #/properties/born/anyOf/1/items: it cannot be held to "uniqueItems"; leave that out',
  ],
  [
    record({ $ref: "#/$defs/a" }, { $defs: { a: { type: "integer", minimum: "1" } } }),
    'the JSON Schema: at #/$defs/a: expected a number for minimum, got "1"',
  ],
  [record({ $ref: "#/$defs/a" }), 'the JSON Schema: at #/properties/born: $ref "#/$defs/a" leads to nothing'],
  [
    record({ $ref: "https://example.com" }),
    'the JSON Schema: at #/properties/born: $ref "https://example.com" leads out of the schema; give one that begins with #/',
  ],
  [
    record({ type: "string", format: "klingon" }),
    'the JSON Schema: at #/properties/born: it cannot be held to format "klingon"; leave that out, or give a pattern',
  ],
  [
    record({ oneOf: [{ type: "string" }, { type: "string" }] }),
    "the JSON Schema: at #/properties/born: the cases of oneOf do not exclude one another; use anyOf",
  ],
  [record({ type: "string", pattern: "a(b" }), 'the JSON Schema: at #/properties/born: unclosed group at "(b"'],
  [record(5), "the JSON Schema: at #/properties/born: expected an object or a boolean, which a schema is"],
  [record({}, { not: {} }), 'the JSON Schema: it cannot be held to "not"; leave that out'],
  [{ jsonSchema: false }, "the JSON Schema: nothing is valid under it: schema is false"],
  [{ regex: "a/\n(b" }, 'the regular expression: unclosed group at "(b"'],
  [{ regex: "a\\bc" }, "the regular expression: \\b, ^ and $ in its middle, and other look-arounds, cannot be held to"],
  [{ lark: 'start: b\nb: "a" | other' }, 'the grammar: line 2, column 4: unknown name: "other"'],
  [{ lark: 'start: "a" )' }, 'the grammar: line 1, column 12: expected rule, token or statement, got ")"'],
  [{ lark: 'start: A\nA: "b" /[c/' }, 'the grammar: line 2, column 4: unclosed character class at "[c"'],
  [{ lark: "start: <nobody>" }, 'the grammar: line 1, column 8: unknown special token: "<nobody>"'],
  [{ lark: 'begin: "a"' }, "the grammar: it has no rule named start, which the text would be"],
  [{ lark: 'start: "a' }, "the grammar: line 1, column 10: this cannot be read; is a text or an expression left open?"],
];

Deno.test("a grammar that cannot be used is refused by its place and what to do, and none spoils the next", async () => {
  using workers = grammarWorkers();
  for (const [grammar, said] of REFUSED) assertEquals(await refusalOf(workers, grammar), `Cannot use ${said}`);
});

Deno.test("a grammar is refused by what is wrong even where looking for the place trips the worker", async () => {
  using workers = grammarWorkers();
  // llguidance 1.9.1 quotes what it refuses up to byte 100, which here is the middle of a character.
  const trap = { type: "string", pattern: [`a${"é".repeat(100)}`] };
  const said = 'Cannot use the JSON Schema: it cannot be held to "not"; leave that out';
  assertEquals(await refusalOf(workers, record({ not: {} }, { $defs: { trap } })), said);
  assertEquals(await refusalOf(workers, { jsonSchema: { not: {} } }), said);
});

Deno.test("a tool whose parameters cannot be used is named, by every template", async () => {
  using workers = grammarWorkers();
  const tool = (name: string, parameters: Record<string, unknown>) =>
    ({ type: "function", isStrict: true, function: { name, parameters } }) as const;
  for (const template of ["<tool_call>", "[TOOL_CALLS]", ""]) {
    const refusal = async (parameters: Record<string, unknown>) => {
      const tools = [tool("look", {}), tool("stop", parameters)];
      const grammar = toolGrammar(tools, { template, specialTokens: new Map(), isRequired: false });
      return toolFault(tools, grammar, await refusalOf(workers, grammar));
    };
    const opening = 'Cannot use the parameters of tool "stop": ';
    assertEquals(
      await refusal({ properties: { at: { not: {} } } }),
      `${opening}at #/properties/at: it cannot be held to "not"; leave that out`,
    );
    assertEquals(await refusal({ not: {} }), `${opening}it cannot be held to "not"; leave that out`);
  }
});
