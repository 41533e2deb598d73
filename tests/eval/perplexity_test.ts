import { assert, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { perplexity, type PerplexityOptions, type WindowRecords } from "../../src/eval/perplexity.ts";
import { ScriptedScorer } from "./scripted_scorer.ts";

function assertNear(actual: number, expected: number): void {
  assert(Math.abs(actual - expected) <= 1e-9 * Math.abs(expected), `${actual} is not ${expected}`);
}

const documentOf = (nTokens: number, name = "book") => ({
  name,
  tokens: Uint32Array.from({ length: nTokens }, (_, i) => 2 + ((i * 7919) % 97)),
});

/** Likelier the longer the context: means of windows differ. */
const byContext = () => new ScriptedScorer((ids, index) => -1 - 1 / index - ids[index]! / 100);

class MemoryRecords implements WindowRecords {
  readonly rows = new Map<string, (readonly number[])[]>();

  of(row: string): readonly (readonly number[])[] {
    return this.rows.get(row) ?? [];
  }

  add(row: string, sums: readonly number[]): Promise<void> {
    this.rows.set(row, [...this.of(row), sums]);
    return Promise.resolve();
  }
}

Deno.test("perplexity() is exp of the plain mean of windows' means, and of the mean over tokens beside it", async () => {
  const model = byContext();
  const [row] = await perplexity(model, [documentOf(700), documentOf(90)], { lengths: [256], stride: 100 });
  const means: number[] = [];
  let sum = 0;
  for (const { ids, last } of model.calls) {
    assertEquals(ids[0], 1);
    let own = 0;
    for (let i = ids.length - last; i < ids.length; i++) own += 1 + 1 / i + ids[i]! / 100;
    means.push(own / last);
    sum += own;
  }
  assertEquals([row!.tokens, row!.windows, model.calls.length], [790, 7, 7]);
  assertNear(row!.perplexity, Math.exp(means.reduce((a, b) => a + b) / 7));
  assertNear(row!.tokenPerplexity, Math.exp(sum / 790));
  assert(Math.abs(row!.perplexity - row!.tokenPerplexity) > 1e-6);
});

Deno.test("perplexity() before given places feeds BOS and length - 1 tokens and counts the last 256 targets", async () => {
  const model = byContext();
  const book = documentOf(5000);
  const rows = await perplexity(model, [book], { lengths: [300, 1024], windowEnds: [{ document: 0, end: 4000 }] });
  assertEquals(rows.map(({ contextLength, tokens }) => [contextLength, tokens]), [[300, 256], [1024, 256]]);
  assertEquals(model.calls.map(({ ids, last }) => [ids.length, last]), [[301, 256], [1025, 256]]);
  assertEquals(model.calls[1]!.ids, [1, ...book.tokens.subarray(2976, 4000)]);
});

Deno.test("perplexity() encodes text without special tokens", async () => {
  const text = "It was a bright cold day in April.";
  const [fromText, fromTokens] = [byContext(), byContext()];
  const tokens = fromTokens.tokenizer.encode(text, { addSpecialTokens: false });
  const options = { lengths: [16], stride: 5 };
  const rows = await perplexity(fromText, [{ name: "a", text }], options);
  assertEquals(rows, await perplexity(fromTokens, [{ name: "a", tokens }], options));
  assertEquals(fromText.calls, fromTokens.calls);
  assertEquals(rows[0]!.tokens, text.length);
});

Deno.test("perplexity() by buckets sorts targets by where they stand in the window", async () => {
  // ids[index] is predicted at position index - 1, and costs as much as its position.
  const model = new ScriptedScorer((_, index) => -(index - 1));
  const rows = await perplexity(model, [documentOf(500)], {
    lengths: [],
    windowEnds: [{ document: 0, end: 500 }, { document: 0, end: 400 }],
    buckets: [0, 4, 10, 40],
  });
  assertEquals(rows.map(({ positions, tokens }) => [positions, tokens]), [[[0, 4], 8], [[4, 10], 12], [[10, 40], 60]]);
  for (const { positions: [from, to] = [0, 0], tokenPerplexity } of rows) {
    assertNear(Math.log(tokenPerplexity), (from + to - 1) / 2);
  }
});

Deno.test("perplexity() by buckets gives the row of their length as well, from the same passes", async () => {
  const [split, alone] = [byContext(), byContext()];
  const windowEnds = [{ document: 0, end: 4000 }, { document: 0, end: 3000 }];
  const options = { lengths: [1024], windowEnds };
  const [row, ...parts] = await perplexity(split, [documentOf(5000)], { ...options, buckets: [0, 512, 1024] });
  const [expected] = await perplexity(alone, [documentOf(5000)], options);
  assertEquals(row, expected);
  assertEquals(parts.map(({ positions, tokens }) => [positions, tokens]), [[[0, 512], 1024], [[512, 1024], 1024]]);
  assertEquals(split.calls.map(({ ids }) => ids), alone.calls.map(({ ids }) => ids));
});

Deno.test("perplexity() goes on from its records wherever it was stopped, to the same rows", async () => {
  const documents = [documentOf(600), documentOf(333, "letter")];
  const options: PerplexityOptions = {
    lengths: [64, 128],
    stride: 32,
    scalings: [{ name: "none", scaling: "none" }, { name: "linear:2", scaling: { rope_type: "linear", factor: 2 } }],
  };
  const whole = byContext();
  const expected = await perplexity(whole, documents, options);
  await fc.assert(
    fc.asyncProperty(fc.nat(whole.calls.length), async (stopAfter) => {
      const records = new MemoryRecords();
      const stopped = new AbortController();
      const first = byContext();
      const run = perplexity(first, documents, {
        ...options,
        records,
        signal: stopped.signal,
        onProgress: () => {
          if (first.calls.length >= stopAfter) stopped.abort(new Error("Enough"));
        },
      });
      await run.catch((error) => assertEquals(error.message, "Enough"));
      const second = byContext();
      assertEquals(await perplexity(second, documents, { ...options, records }), expected);
      assert(first.calls.length + second.calls.length <= whole.calls.length + 1);
    }),
    { numRuns: 20 },
  );
});

Deno.test("perplexity() measures scaling by scaling, gives the model's own back, and refuses an unknown one first", async () => {
  const model = byContext();
  const options = { lengths: [64], stride: 32 };
  const rows = await perplexity(model, [documentOf(100)], {
    ...options,
    scalings: [{ name: "plain", scaling: "none" }, { name: "own", scaling: undefined }],
  });
  assertEquals(rows.map(({ scaling }) => scaling), ["plain", "own"]);
  assertEquals(model.scalings, ["none", undefined, "none", undefined, undefined]);
  const calls = model.calls.length;
  const stretched = { name: "stretched", scaling: { rope_type: "stretched" } };
  await assertRejects(
    () => perplexity(model, [documentOf(100)], { ...options, scalings: [{ name: "n", scaling: "none" }, stretched] }),
    SyntaxError,
    "stretched",
  );
  assertEquals([model.calls.length, model.scalings.at(-1)], [calls, undefined]);
});

Deno.test("perplexity() takes windows of any length", async () => {
  const model = new ScriptedScorer(() => -1, 1, 2 ** 20);
  const [row] = await perplexity(model, [documentOf(300000)], { lengths: [2 ** 18], stride: 2 ** 17 });
  assertEquals([row!.tokens, row!.windows, model.calls[0]!.ids.length], [300000, 2, 2 ** 18]);
  assertNear(row!.perplexity, Math.E);
});

Deno.test("perplexity() tells how far it is, with less and less time left", async () => {
  const told: string[] = [];
  await perplexity(byContext(), [documentOf(200)], {
    lengths: [64],
    stride: 32,
    onProgress: ({ windows, totalWindows, secondsLeft }) =>
      told.push(`${windows}/${totalWindows} ${secondsLeft === undefined ? "?" : secondsLeft >= 0}`),
  });
  assertEquals(told, ["0/6 ?", "1/6 true", "2/6 true", "3/6 true", "4/6 true", "5/6 true"]);
});

const REFUSED: readonly (readonly [string, Partial<PerplexityOptions>, string])[] = [
  ["a length over the context", { lengths: [8192] }, "length 8192: expected 2 to the context length 4096"],
  ["a length of 1", { lengths: [1] }, "length 1"],
  ["a stride over the window", { lengths: [64], stride: 64 }, "stride 64"],
  ["a place too near the beginning", { windowEnds: [{ document: 0, end: 60 }] }, "before token 60 of book"],
  ["a place past the end", { windowEnds: [{ document: 0, end: 101 }] }, "it has 100 tokens"],
  ["buckets without places", { buckets: [0, 8] }, "without window ends"],
  ["falling buckets", { windowEnds: [{ document: 0, end: 100 }], buckets: [8, 0] }, "buckets 8,0"],
];
for (const [what, options, message] of REFUSED) {
  Deno.test(`perplexity() refuses ${what} before it measures anything`, async () => {
    const model = byContext();
    const run = () => perplexity(model, [documentOf(100)], { lengths: [64], stride: 32, ...options });
    await assertRejects(run, RangeError, message);
    assertEquals(model.calls, []);
  });
}

Deno.test("perplexity() refuses documents with nothing to predict", async () => {
  await assertRejects(
    () => perplexity(byContext(), [], { lengths: [64] }),
    RangeError,
    "none of the documents (0) has tokens",
  );
});
