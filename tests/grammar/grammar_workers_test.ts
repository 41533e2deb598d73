import { assert, assertEquals, assertRejects } from "@std/assert";
import { GrammarError } from "../../src/errors.ts";
import type { GrammarSource } from "../../src/grammar/grammar.ts";
import { GrammarWorkers } from "../../src/grammar/grammar_workers.ts";
import { call } from "../../src/worker/call.ts";
import { allowedIds, END_ID, grammarWorkers, openGrammarWorker, tokenizer } from "./grammar_fixture.ts";

const regex = (source: string): GrammarSource => ({ kind: "regex", source });
const schema = (value: unknown): GrammarSource => ({ kind: "jsonSchema", source: JSON.stringify(value) });
const lark = (source: string): GrammarSource => ({ kind: "lark", source });

Deno.test("GrammarWorkers allow the tokens that continue a text, and the end where it is whole", async () => {
  using workers = grammarWorkers();
  using matcher = await workers.begin(regex("ab?"));
  const spelled = (ids: readonly number[]) => ids.map((id) => tokenizer.decode([id]));
  const first = allowedIds(matcher.allowed);
  assert(first.length > 0 && spelled(first).every((text) => text === "a" || text === "ab"), `${spelled(first)}`);
  await matcher.accept([first.find((id) => tokenizer.decode([id]) === "a")!]);
  assertEquals(matcher.isComplete, false);
  assertEquals(new Set(allowedIds(matcher.allowed)).has(END_ID), true);
  await matcher.accept([END_ID]);
  assertEquals([matcher.isComplete, allowedIds(matcher.allowed)], [true, []]);
});

Deno.test("without a token that ends a text, a grammar's text ends where nothing may follow", async () => {
  using workers = grammarWorkers({}, []);
  using matcher = await workers.begin(regex("[ab]{3}"));
  while (!matcher.isComplete) {
    const ids = allowedIds(matcher.allowed);
    assert(ids.length > 0 && !ids.includes(END_ID) && ids.every((id) => id < tokenizer.vocabSize));
    await matcher.accept([ids[0]!]);
  }
});

Deno.test("a grammar names special tokens, which no other grammar allows", async () => {
  using workers = grammarWorkers({}, []);
  const special = [...tokenizer.specialIds].map((id) => [id, tokenizer.piece(id)!] as const)
    .find(([, piece]) => /^<.*>$/.test(piece))!;
  using named = await workers.begin(lark(`start: ${special[1]} "a"`));
  assertEquals(allowedIds(named.allowed), [special[0]]);
  using any = await workers.begin(regex("(.|\\n)*"));
  assertEquals(allowedIds(any.allowed).filter((id) => tokenizer.specialIds.includes(id)), []);
});

Deno.test("texts take turns with a worker, and have one each when they are under way at once", async () => {
  using workers = grammarWorkers();
  for (const word of ["left", "right"]) {
    using matcher = await workers.begin(regex(word));
    assert(allowedIds(matcher.allowed).every((id) => word.startsWith(tokenizer.decode([id]))));
  }
  using left = await workers.begin(regex("x+"));
  using right = await workers.begin(regex("y+"));
  for (let i = 0; i < 3; i++) {
    for (const [matcher, letter] of [[left, "x"], [right, "y"]] as const) {
      const ids = allowedIds(matcher.allowed).filter((id) => id !== END_ID);
      assert(ids.every((id) => /^(x+|y+)$/.test(tokenizer.decode([id])) && tokenizer.decode([id]).startsWith(letter)));
      await matcher.accept([ids[0]!]);
    }
  }
});

const deep = (levels: number, wrap: (inner: unknown) => unknown) => {
  let inner: unknown = { type: "integer" };
  for (let i = 0; i < levels; i++) inner = wrap(inner);
  return inner;
};
const rules = Array.from({ length: 3000 }, (_, i) => `r${i}: r${(7 * i + 1) % 3000} "a" | r${(13 * i + 5) % 3000} "b"`);

for (
  const [story, grammar, code] of [
    ["repeats repetitions", regex("((a{1,100}){1,100}){1,100}"), undefined],
    ["looks far back", regex("(.*a){60}.{0,500}"), undefined],
    ["wants 100 million letters", schema({ type: "string", minLength: 1e8 }), undefined],
    ["wants a billion items", schema({ type: "array", minItems: 1e9 }), undefined],
    ["can be read in many ways", lark('start: start start | "a" | "aa" | "aaa"'), undefined],
    ["nests deeper than JSON is read", { kind: "jsonSchema", source: "[".repeat(1e5) }, "Invalid"],
    // llguidance 1.9.1 quotes what it refuses up to byte 100, which here is the middle of a character.
    ["is cut in a character", schema({ type: "string", pattern: ["a" + "é".repeat(100)] }), "TooComplex"],
    // It asserts here that the rule is not its own only part.
    ["counts without an end", lark('start: p::0x0\np::_: "a" p::set_bit(5)'), "TooComplex"],
    ["only names itself", schema({ $ref: "#" }), "NoToken"],
    ["doubles with each level", schema(deep(20, (x) => ({ anyOf: [x, { properties: { a: x } }] }))), "TooComplex"],
    ["calls itself from 3,000 rules", lark(`${rules.join("\n")}\nstart: r0`), "TooComplex"],
    ["counts in a prime", schema({ type: "integer", multipleOf: 1000003 }), "TooComplex"],
  ] as const
) {
  Deno.test(`a grammar that ${story} is bounded in time and memory, and the next one is served`, async () => {
    using workers = grammarWorkers(code === "TooComplex" ? { beginMs: 2000 } : {});
    const started = performance.now();
    const follow = async () => {
      using matcher = await workers.begin(grammar);
      for (let step = 0; step < 20 && !matcher.isComplete; step++) {
        const ids = allowedIds(matcher.allowed);
        await matcher.accept([ids[(7919 * step) % ids.length]!]);
      }
    };
    if (code === undefined) await follow();
    else assertEquals((await assertRejects(follow, GrammarError, "Cannot use the ")).code, code);
    assert(performance.now() - started < 30_000);
    using next = await workers.begin(regex("ok"));
    assert(!next.isComplete);
  });
}

const record = { type: "object", properties: { fuel: false } };
const wide = JSON.stringify({
  properties: Object.fromEntries(Array.from({ length: 30_000 }, (_, i) => [`field ${i}`, { type: "object" }])),
});

for (
  const [story, grammar, code, message] of [
    ["a rule that is not there", lark("start: limit"), "Invalid", "limit"],
    ["a line that is none", lark('start: "fuel" ) // too many'), "Invalid", ""],
    ["a field that can have no value", schema({ ...record, required: ["fuel"] }), "Invalid", "fuel"],
    ["options for its reading", schema({ "x-guidance": { lenient: true }, not: {} }), "Invalid", "has x-guidance"],
    ["many states", regex("(a?b?c?d?){100}".repeat(2000)), "TooComplex", "precomputation failed"],
    ["a large schema in a rule", lark(`start: %json ${wide}`), "TooComplex", "line 1, column 8: "],
  ] as const
) {
  Deno.test(`a grammar of ${story} fails as ${code}, whatever its words`, async () => {
    using workers = grammarWorkers();
    const error = await assertRejects(() => workers.begin(grammar), GrammarError, message);
    assertEquals(error.code, code);
  });
}

Deno.test("a grammar that takes too long ends its own worker alone, and so does an abort", async () => {
  using workers = grammarWorkers({ beginMs: 500 });
  const endless = schema({ type: "integer", multipleOf: 1000003 });
  using matcher = await workers.begin(regex("[a-z]+"));
  await assertRejects(() => workers.begin(endless), GrammarError, "it takes over 500 ms");
  const stop = new AbortController();
  const beginning = workers.begin(endless, stop.signal);
  setTimeout(() => stop.abort(new Error("enough")), 10);
  await assertRejects(() => beginning, Error, "enough");
  await matcher.accept([allowedIds(matcher.allowed)[0]!]);
  assert(!matcher.isComplete);
});

Deno.test("a worker that cannot be started is told apart from a grammar", async () => {
  const absent = () => new Worker(new URL("absent.ts", import.meta.url), { type: "module" });
  using workers = new GrammarWorkers({
    spell: () => Promise.resolve({ bytes: new Uint8Array(), lengths: new Uint32Array() }),
    endIds: [],
  }, absent);
  await assertRejects(() => workers.begin(regex("a")), TypeError, "Cannot start the worker that follows grammars: ");
  using wrong = grammarWorkers({}, [tokenizer.vocabSize]);
  await assertRejects(() => wrong.begin(regex("a")), TypeError, `token ${tokenizer.vocabSize} cannot end a text`);
});

Deno.test("disposed workers end what is under way, and begin nothing", async () => {
  const workers = grammarWorkers();
  const beginning = workers.begin(schema({ type: "integer", multipleOf: 1000003 }));
  setTimeout(() => workers.dispose(), 50);
  await assertRejects(() => beginning, TypeError, "disposed");
  await assertRejects(() => workers.begin(regex("a")), TypeError, "disposed");
});

Deno.test("disposed workers end, those of a text between two steps too", async () => {
  const opened: Worker[] = [];
  const workers = grammarWorkers({}, [], () => {
    const worker = openGrammarWorker();
    opened.push(worker);
    return worker;
  });
  using held = await workers.begin(regex("x+"));
  (await workers.begin(regex("y+"))).dispose();
  const ask = (worker: Worker) =>
    call(worker, { grammar: regex("z+") }, { timeoutMs: 1000, failure: (reason) => new Error(reason) });
  assertEquals(opened.length, 2);
  await Promise.all(opened.map(ask));
  workers.dispose();
  for (const worker of opened) await assertRejects(() => ask(worker), Error, "over 1000 ms");
  await assertRejects(() => held.accept(allowedIds(held.allowed).slice(0, 1)), TypeError, "disposed");
});
