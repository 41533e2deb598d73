import { assertEquals } from "@std/assert";
import { ToolCallParser } from "../../src/chat/tool_calls.ts";
import { toolGrammar } from "../../src/chat/tool_grammar.ts";
import { resolveGrammar } from "../../src/grammar/grammar.ts";
import { follow, grammarWorkers } from "../grammar/grammar_fixture.ts";

const place = { enum: ["sea", "sky"] };
const parameters = {
  type: "object",
  properties: { at: { $ref: "#/$defs/place" } },
  required: ["at"],
  additionalProperties: false,
  $defs: { place },
};
const tools = [
  { type: "function", isStrict: true, function: { name: "look", parameters } },
  { type: "function", isStrict: false, function: { name: "stop", parameters: { propertyNames: place } } },
] as const;

/** Templates, and how their models write calls. */
const FORMS: Readonly<Record<string, (call: object) => string>> = {
  "<tool_call>": (call) => `<tool_call>\n${JSON.stringify(call)}\n</tool_call>`,
  "[TOOL_CALLS]": (call) => `[TOOL_CALLS][${JSON.stringify(call)}]`,
  "": ({ name, arguments: inner }: { name?: string; arguments?: object }) =>
    JSON.stringify({ name, parameters: inner }),
};

for (const [template, write] of Object.entries(FORMS)) {
  const grammar = (isRequired: boolean, specialTokens = new Map<string, number>()) =>
    resolveGrammar(toolGrammar(tools, { template, specialTokens, isRequired }));
  const look = write({ name: "look", arguments: { at: "sea" } });
  const stop = write({ name: "stop", arguments: {} });
  const cases = [
    [look, "complete", "complete"],
    [stop, "complete", "complete"],
    ["", "goes on", "may end"],
    ["It is {as it is}.", "stops before It is", "may end"],
  ] as const;
  Deno.test(`answers by the template "${template}" are calls that its parser finds, or text`, async () => {
    using workers = grammarWorkers();
    for (const [text, required, free] of cases) {
      assertEquals([text, await follow(workers, grammar(true), text), await follow(workers, grammar(false), text)], [
        text,
        required,
        free,
      ]);
    }
    for (const [text, name] of [[look, "look"], [stop, "stop"]] as const) {
      const parser = new ToolCallParser();
      parser.push(text);
      assertEquals(parser.end().calls.map((call) => call.name), [name]);
    }
    const wrong = write({ name: "look", arguments: { at: "home" } });
    for (const isRequired of [true, false]) {
      assertEquals((await follow(workers, grammar(isRequired), wrong)).slice(0, 12), "stops before");
    }
  });
}

Deno.test("a call may follow words, and its marker may be a token of its own", async () => {
  using workers = grammarWorkers();
  const options = { template: "<tool_call>", isRequired: false };
  const call = FORMS["<tool_call>"]!({ name: "stop", arguments: {} });
  const plain = resolveGrammar(toolGrammar(tools, { ...options, specialTokens: new Map() }));
  assertEquals(await follow(workers, plain, `Let me stop. ${call}`), "complete");
  // Any token will do as the marker here.
  const special = new Map([["<tool_call>", 0]]);
  const { source } = resolveGrammar(toolGrammar(tools, { ...options, specialTokens: special }));
  assertEquals(source.split("\n")[0], 'start: TEXT | TEXT <[0]> /\\n?/ call /\\n?/ "</tool_call>"');
  assertEquals(await follow(workers, { kind: "lark", source }, "Let me stop."), "may end");
});
