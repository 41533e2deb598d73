import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CapacityError, type ContextPolicy, type GenerationResult, loadModel, type LoadOptions } from "../../mod.ts";

const open = (name: string, options: LoadOptions = {}) =>
  loadModel(new URL(`../testdata/tiny/${name}`, import.meta.url).pathname, { contextLength: 40, ...options });

/** A prompt of the tiny models, whose vocabulary has 288 tokens and whose stop id is 2. */
const PROMPT = Array.from({ length: 30 }, (_, i) => i === 0 ? 1 : 3 + (i * 37) % 280);

Deno.test("contextPolicy error, the default, yields what fits and then throws with both numbers", async () => {
  using model = await open("yarn_rope_scaling");
  using session = model.createSession();
  session.append(PROMPT);
  const yielded: number[] = [];
  const error = await assertRejects(
    async () => {
      for await (const { tokens } of session.generate()) yielded.push(...tokens);
    },
    CapacityError,
    "Cannot generate 256 tokens after 30: the context length is 40, and 10 were generated; lower maxTokens, " +
      'load with a larger contextLength, or set contextPolicy to "stop" or to { sinks: 4 }',
  );
  assertEquals([error.requested, error.available, error.unit], [286, 40, "tokens"]);
  assertEquals([...session.tokens], [...PROMPT, ...yielded]);
  assertEquals(yielded.length, 10);
  await assertRejects(() => session.generate({ maxTokens: 1 }).result, CapacityError, "1 tokens after 40");
  session.truncate(35);
  assertEquals((await session.generate({ maxTokens: 5 }).result).tokens, yielded.slice(5));
});

Deno.test("contextPolicy stop ends with the context, for the reason length", async () => {
  using model = await open("yarn_rope_scaling");
  const { tokens, finishReason, contextSlides } = await model.generate(PROMPT, { contextPolicy: "stop" }).result;
  assertEquals([tokens.length, finishReason, contextSlides], [10, "length", 0]);
  const full = Array<number>(40).fill(5);
  const none = await model.generate(full, { contextPolicy: "stop" }).result;
  assertEquals([none.tokens, none.finishReason], [[], "length"]);
});

const SLIDING: readonly (readonly [string, LoadOptions])[] = [
  ["yarn_rope_scaling", {}],
  ["dynamic_ntk", { contextLength: 70 }],
  ["mistral_window", { kvCache: "q4", prefillChunk: 7 }],
  ["smollm3_nope", { kvCache: "q8" }],
];
for (const [name, options] of SLIDING) {
  Deno.test(`contextPolicy with sinks goes on as a fresh prompt of what is kept: ${name}`, async () => {
    using model = await open(name, options);
    const { contextLength } = model;
    for (const policy of [{ sinks: 4 }, { sinks: 0, window: 11 }, { sinks: 3, window: contextLength - 5 }]) {
      using session = model.createSession();
      session.append(PROMPT);
      const got = await session.generate({ maxTokens: 60, contextPolicy: policy }).result;
      const { sinks, window = Math.floor((contextLength - sinks) / 2) } = policy as { sinks: number; window?: number };
      const expected: number[] = [];
      let held: number[] = [...PROMPT];
      let slides = 0;
      while (expected.length < 60) {
        if (held.length === contextLength) {
          held = [...held.slice(0, sinks), ...held.slice(-window)];
          slides++;
        }
        const maxTokens = Math.min(60 - expected.length, contextLength - held.length);
        const { tokens } = await model.generate(held, { maxTokens }).result;
        if (tokens.length === 0) break;
        expected.push(...tokens);
        held.push(...tokens);
        if (tokens.length < maxTokens) break;
      }
      assertEquals([...got.tokens], expected);
      assertEquals(got.contextSlides, slides);
      assertEquals([...session.tokens], held);
      assert(slides > 0);
    }
  });
}

Deno.test("contextPolicy with sinks makes room for a prompt that fills the context, and for no longer one", async () => {
  using model = await open("yarn_rope_scaling");
  const full = [...PROMPT, ...PROMPT.slice(1, 11)];
  const contextPolicy: ContextPolicy = { sinks: 2, window: 20 };
  const got = await model.generate(full, { maxTokens: 3, contextPolicy }).result;
  const kept = [...full.slice(0, 2), ...full.slice(-20)];
  assertEquals(got.tokens, (await model.generate(kept, { maxTokens: 3 }).result).tokens);
  assertEquals([got.usage.promptTokens, got.contextSlides], [40, 1]);
  assertThrows(() => model.generate([...full, 5], { contextPolicy }), CapacityError, "41 tokens");
});

Deno.test("contextPolicy with sinks keeps what may be the begin of a stop string, and says when that is too much", async () => {
  using model = await open("yarn_rope_scaling");
  const run = (stop: string): Promise<GenerationResult> =>
    model.generate(PROMPT, { maxTokens: 14, stop, contextPolicy: { sinks: 4, window: 2 } }).result;
  const { text } = await model.generate(PROMPT, { maxTokens: 10 }).result;
  const got = await run(`${text.slice(-4)}\u0000`);
  assertEquals([got.tokens.length, got.contextSlides], [14, 1]);
  using small = await open("yarn_rope_scaling", { contextLength: 12 });
  const short = PROMPT.slice(0, 3);
  const first = await small.generate(short, { maxTokens: 9 }).result;
  await assertRejects(
    () => small.generate(short, { stop: `${first.text}\u0000`, contextPolicy: { sinks: 4, window: 2 } }).result,
    CapacityError,
    "use shorter stop strings",
  );
});

Deno.test("contextPolicy is checked against the context before anything runs", async () => {
  using model = await open("yarn_rope_scaling");
  const refused: [unknown, string][] = [
    ["slide", 'Cannot use contextPolicy "slide": expected "error", "stop", or sinks and a window'],
    [{ sinks: -1 }, "with sinks -1: expected an integer of at least 0"],
    [{ sinks: 4, window: 0 }, "with window 0: expected an integer of at least 1"],
    [{ sinks: 4, window: 1.5 }, "with window 1.5: expected an integer of at least 1"],
    [{ sinks: 4, window: 36 }, "sinks 4 and window 36: the context length 40 leaves no room for another token"],
    [{ sinks: 39 }, "sinks 39 and window 1: the context length 40 leaves no room for another token"],
  ];
  for (const [contextPolicy, message] of refused) {
    assertThrows(() => model.generate(PROMPT, { contextPolicy: contextPolicy as ContextPolicy }), RangeError, message);
  }
});
