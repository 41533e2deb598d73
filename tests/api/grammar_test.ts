import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CapacityError, type Grammar, GrammarError, loadModel, type Model } from "../../mod.ts";
import { trySchemas } from "../grammar/schema_run.ts";

const folder = new URL("../testdata/pg-nano-yarn-2k", import.meta.url).pathname;
const PROMPT = "The man was riding just below the summit";
let loaded: Model | undefined;
const shared = async () => loaded ??= await loadModel(folder, { contextLength: 2048 });
Deno.test.afterAll(() => loaded?.dispose());

const RECORD = {
  jsonSchema: {
    type: "object",
    properties: { name: { type: "string", maxLength: 12 }, born: { type: "integer", minimum: 1800, maximum: 1899 } },
    required: ["name", "born"],
    additionalProperties: false,
  },
};

Deno.test("texts held to the schemas of the official suite's keywords are valid, sampled side by side", async () => {
  const model = await shared();
  let count = 0;
  for await (const { name, text, wrong } of trySchemas(model, 16, 7)) {
    assertEquals(wrong, "", `${name}: ${text}`);
    count++;
  }
  assertEquals(count, 16);
});

Deno.test("a greedy text is held to a schema, an expression or rules, in a session and without", async () => {
  const model = await shared();
  const { text, finishReason } = await model.generate(PROMPT, { grammar: RECORD }).result;
  const { name, born } = JSON.parse(text);
  assert(typeof name === "string" && born >= 1800 && born <= 1899 && finishReason === "stop", text);
  const cases: [Grammar, RegExp][] = [
    [{ regex: "(left|right) [0-9]{3}\\." }, /^(left|right) \d{3}\.$/],
    [{ lark: 'start: "yes" | "no" " indeed"? "!"' }, /^(yes|no( indeed)?!)$/],
    [
      { lark: 'start: hail " " name "."\nhail: "Hail" | "Farewell"\nname: /[A-Z][a-z]{2,7}/' },
      /^(Hail|Farewell) [A-Z][a-z]{2,7}\.$/,
    ],
    [{ jsonSchema: true }, /^["{[\d\-tfn]/],
  ];
  for (const [grammar, form] of cases) {
    using session = model.createSession();
    session.append(PROMPT);
    const { length } = session;
    const result = await session.generate({ grammar, maxTokens: 40 }).result;
    assert(form.test(result.text), result.text);
    assertEquals(session.length, length + result.tokens.length);
  }
});

Deno.test("a sequence with a grammar changes nothing for those that share its passes", async () => {
  const model = await shared();
  const options = { maxTokens: 30, temperature: 0.8, seed: 5 };
  const alone = await model.generate(PROMPT, options).result;
  const [, held, free] = await Promise.all([
    model.generate(PROMPT, { ...options, seed: 6 }).result,
    model.generate(PROMPT, { ...options, maxTokens: 60, grammar: { regex: "[A-Z ]{20,30}\\." } }).result,
    model.generate(PROMPT, options).result,
  ]);
  assert(/^[A-Z ]{20,30}\.$/.test(held.text), held.text);
  assertEquals(free.text, alone.text);
});

Deno.test("a grammar that allows everything leaves a text as it is", async () => {
  const model = await shared();
  const plain = await model.generate(PROMPT, { maxTokens: 20 }).result;
  const held = await model.generate(PROMPT, { maxTokens: 20, grammar: { regex: "(.|\\n)*" } }).result;
  assertEquals([held.text, held.finishReason], [plain.text, "length"]);
});

Deno.test("a grammar goes with penalties, biases, log-probabilities, stop strings and a context that slides", async () => {
  const model = await shared();
  const digits = { regex: "[0-9]{12}" };
  const bias = Object.fromEntries(
    [...model.tokenizer.encode("7777", { addSpecialTokens: false })].map((id) => [id, 100]),
  );
  const all = { grammar: digits, logitBias: bias, frequencyPenalty: 1, repetitionPenalty: 1.2, topLogprobs: 2 };
  const { text, logprobs, tokens } = await model.generate(PROMPT, all).result;
  assert(/^\d{12}$/.test(text), text);
  // They are the model's own, by which other tokens are likelier.
  assertEquals(logprobs!.length, tokens.length);
  assert(logprobs![0]!.top[0]!.logprob > logprobs![0]!.logprob);
  const stopped = await model.generate(PROMPT, { ...all, stop: text.slice(3, 6) }).result;
  assertEquals([stopped.finishReason, stopped.text], ["stop", text.slice(0, text.indexOf(text.slice(3, 6)))]);
  using short = await loadModel(folder, { contextLength: 64 });
  const long = { grammar: { regex: "[a-z]( [a-z]){40}" }, maxTokens: 200 };
  await assertRejects(() => short.generate(PROMPT, long).result, CapacityError);
  const slid = await short.generate(PROMPT, { ...long, contextPolicy: { sinks: 4, window: 16 } }).result;
  assert(/^[a-z]( [a-z]){40}$/.test(slid.text) && slid.contextSlides > 0, slid.text);
});

Deno.test("maxTokens in the middle of a grammar's text ends it by length, and at its end by stop", async () => {
  const model = await shared();
  const grammar = { lark: 'start: "abcdef"' };
  const whole = await model.generate(PROMPT, { grammar }).result;
  assertEquals([whole.text, whole.finishReason], ["abcdef", "stop"]);
  const count = whole.tokens.length;
  const exact = await model.generate(PROMPT, { grammar, maxTokens: count }).result;
  assertEquals([exact.text, exact.finishReason], ["abcdef", "stop"]);
  const cut = await model.generate(PROMPT, { grammar, maxTokens: count - 1 }).result;
  assertEquals(cut.finishReason, "length");
  assert("abcdef".startsWith(cut.text) && cut.text.length < 6, cut.text);
  const empty = await model.generate(PROMPT, { grammar: { regex: "" } }).result;
  assertEquals([empty.text, empty.finishReason, empty.tokens], ["", "stop", []]);
});

for (
  const [story, grammar, message] of [
    ["a type that there is not", { jsonSchema: { type: "strin" } }, "strin"],
    ["a keyword that is not known", { jsonSchema: { propertyNames: { maxLength: 3 } } }, "propertyNames"],
    ["a schema of nothing", { jsonSchema: false }, "nothing is valid under it"],
    ["a reference to nothing", { jsonSchema: { $ref: "#/$defs/a" } }, "$defs"],
    ["a reference to elsewhere", { jsonSchema: { $ref: "https://example.com/a.json" } }, "example.com"],
    ["an expression that is open", { regex: "(a" }, "unclosed group"],
    ["a rule that there is not", { lark: "start: other" }, 'unknown name: "other"'],
    ["rules that are none", { lark: "][" }, "expected rule"],
  ] as const
) {
  Deno.test(`a grammar with ${story} is refused before the first token, and another one is taken`, async () => {
    const model = await shared();
    const error = await assertRejects(() => model.generate(PROMPT, { grammar }).result, GrammarError, message);
    assertEquals(error.code, "Invalid");
    assert(error.message.startsWith("Cannot use the ") && !error.message.includes("\n"), error.message);
    assertEquals((await model.generate(PROMPT, { grammar: { regex: "ok" } }).result).text, "ok");
  });
}

Deno.test("what is no grammar is refused by the call", async () => {
  const model = await shared();
  for (
    const grammar of [null, {}, "a*", { regex: 1 }, { jsonSchema: [] }, { jsonSchema: "{}" }, { regex: "a", lark: "" }]
  ) {
    assertThrows(() => model.generate(PROMPT, { grammar: grammar as Grammar }), TypeError, "grammar");
  }
  const loop: Record<string, unknown> = {};
  loop.self = loop;
  assertThrows(() => model.generate(PROMPT, { grammar: { jsonSchema: loop } }), TypeError, "JSON");
  assertThrows(() => model.generate(PROMPT, { grammar: { regex: "a".repeat(2 ** 21) } }), GrammarError, "at most");
  assertThrows(() => model.generate(PROMPT, { grammar: { regex: "a" }, speculate: 2 }), RangeError, "speculate");
});

Deno.test("aborting, leaving the loop and disposing the model end a generation with a grammar", async () => {
  using model = await loadModel(folder, { contextLength: 512 });
  const grammar = { regex: "[a-z ]*" };
  const stop = new AbortController();
  const aborted = model.generate(PROMPT, { grammar, signal: stop.signal });
  let count = 0;
  await assertRejects(
    async () => {
      for await (const _ of aborted) if (++count === 3) stop.abort(new Error("enough"));
    },
    Error,
    "enough",
  );
  for await (const _ of model.generate(PROMPT, { grammar })) break;
  const running = model.generate(PROMPT, { grammar, maxTokens: 400 });
  const rejected = assertRejects(() => running.result, TypeError, "The model was disposed");
  setTimeout(() => model.dispose(), 100);
  await rejected;
});
