import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CapacityError, loadModel, type Model } from "../../mod.ts";

const folder = new URL("../testdata/pg-nano-yarn-2k", import.meta.url).pathname;
const open = (contextLength = 512): Promise<Model> => loadModel(folder, { contextLength });
const PROMPT = "The man was riding just below the summit";

Deno.test("a session continues where it stopped, with the tokens that one long generation gives", async () => {
  using model = await open();
  const whole = await model.generate(PROMPT, { maxTokens: 24 }).result;
  using session = model.createSession();
  session.append(PROMPT);
  const first = await session.generate({ maxTokens: 10 }).result;
  const second = await session.generate({ maxTokens: 14 }).result;
  assertEquals([...first.tokens, ...second.tokens], [...whole.tokens]);
  assertEquals(session.length, model.tokenizer.encode(PROMPT).length + 24);
});

Deno.test("a session that is truncated gives the same tokens again", async () => {
  using model = await open();
  using session = model.createSession();
  session.append(PROMPT);
  const length = session.length;
  const { tokens } = await session.generate({ maxTokens: 12 }).result;
  session.truncate(length);
  assertEquals([...(await session.generate({ maxTokens: 12 }).result).tokens], [...tokens]);
  session.truncate(length + 5);
  assertEquals([...(await session.generate({ maxTokens: 7 }).result).tokens], [...tokens.slice(5)]);
});

Deno.test("a session's length covers only what was yielded when its reader leaves", async () => {
  using model = await open();
  using session = model.createSession();
  session.append(PROMPT);
  const before = session.length;
  let yielded = 0;
  for await (const { tokens } of session.generate({ maxTokens: 50 })) {
    yielded += tokens.length;
    if (yielded >= 3) break;
  }
  assertEquals(session.length, before + yielded);
  const rest = await session.generate({ maxTokens: 5 }).result;
  const whole = await model.generate(PROMPT, { maxTokens: yielded + 5 }).result;
  assertEquals([...rest.tokens], whole.tokens.slice(yielded));
});

Deno.test("an abort throws the signal's reason and leaves a session usable", async () => {
  using model = await open();
  using session = model.createSession();
  session.append(PROMPT);
  const before = session.length;
  const abort = new AbortController();
  let yielded = 0;
  await assertRejects(
    async () => {
      for await (const { tokens } of session.generate({ maxTokens: 400, signal: abort.signal })) {
        yielded += tokens.length;
        abort.abort(new Error("the caller has had enough"));
      }
    },
    Error,
    "the caller has had enough",
  );
  assert(yielded < 400, `Expected the abort to end the generation, got ${yielded} tokens`);
  assertEquals(session.length, before + yielded);
  assertEquals((await session.generate({ maxTokens: 2 }).result).tokens.length, 2);
});

Deno.test("two generations of one model at once give what each gives alone", async () => {
  using model = await open();
  const prompts = [PROMPT, "It was a dark night, and the rain fell upon the roof of the"];
  const alone = [];
  for (const prompt of prompts) alone.push((await model.generate(prompt, { maxTokens: 20 }).result).text);
  const together = await Promise.all(
    prompts.map(async (prompt) => (await model.generate(prompt, { maxTokens: 20 }).result).text),
  );
  assertEquals(together, alone);
});

Deno.test("a prompt that does not fit is refused with both numbers", async () => {
  using model = await open(16);
  const error = assertThrows(() => model.generate(Array(17).fill(5)), CapacityError, "17 tokens");
  assertEquals([error.requested, error.available], [17, 16]);
});

Deno.test("a stop string ends the text before it, exactly", async () => {
  using model = await open();
  const { text } = await model.generate(PROMPT, { maxTokens: 30 }).result;
  const stop = text.slice(10, 14);
  const stopped = await model.generate(PROMPT, { maxTokens: 30, stop }).result;
  assertEquals(stopped.text, text.slice(0, text.indexOf(stop)));
  assertEquals(stopped.finishReason, "stop");
});

Deno.test("a sampled generation repeats with its seed and changes with another", async () => {
  using model = await open();
  const sample = async (seed: number) =>
    (await model.generate(PROMPT, { maxTokens: 30, temperature: 1, topP: 0.95, seed }).result).text;
  assertEquals(await sample(7), await sample(7));
  assert(await sample(7) !== await sample(8), "Expected another seed to give another text");
});

Deno.test("a generation streams its text, and cancelling the stream ends it", async () => {
  using model = await open();
  const { text } = await model.generate(PROMPT, { maxTokens: 12 }).result;
  let streamed = "";
  for await (const piece of model.generate(PROMPT, { maxTokens: 12 }).stream()) streamed += piece;
  assertEquals(streamed, text);
  using session = model.createSession();
  session.append(PROMPT);
  const reader = session.generate({ maxTokens: 100 }).stream().getReader();
  await reader.read();
  await reader.cancel();
  assertEquals((await session.generate({ maxTokens: 1 }).result).tokens.length, 1);
});

Deno.test("chunks of any size give the same logits", async () => {
  const text = (await Deno.readTextFile(new URL("../testdata/pg19/keith_of_the_border.txt", import.meta.url))).slice(
    0,
    2500,
  );
  let expected: Float32Array | undefined;
  for (const prefillChunk of [512, 64, 7, 1]) {
    using model = await loadModel(folder, { weights: "f32", kvCache: "f32", prefillChunk, contextLength: 1024 });
    const tokens = model.tokenizer.encode(text).slice(0, prefillChunk === 1 ? 200 : 600);
    const { logprobs } = await model.score(tokens);
    expected ??= logprobs;
    const error = logprobs.reduce((worst, value, i) => Math.max(worst, Math.abs(value - expected![i]!)), 0);
    assert(error <= 1e-3, `Chunks of ${prefillChunk} change a logprob by ${error}`);
  }
});

Deno.test("what is disposed or empty says so", async () => {
  const model = await open();
  assertThrows(() => model.generate(""), RangeError, "empty prompt");
  const session = model.createSession();
  assertThrows(() => session.generate(), RangeError, "empty prompt");
  assertThrows(() => session.append([4096]), RangeError, "Token id 4096 at index 0");
  session.append(PROMPT);
  const generation = session.generate({ maxTokens: 3 });
  const iterator = generation[Symbol.asyncIterator]();
  await iterator.next();
  assertThrows(() => session.append("more"), TypeError, "is running");
  await iterator.return?.();
  await assertRejects(() => model.score([1]), RangeError, "of length 1");
  model.dispose();
  assertThrows(() => model.createSession(), TypeError, "disposed");
  assertThrows(() => session.generate(), TypeError, "disposed");
});

Deno.test("score() of the last tokens gives the end of the whole score", async () => {
  using model = await open(300);
  const tokens = Array.from({ length: 301 }, (_, i) => 3 + (i * 37) % 4000);
  const all = await model.score(tokens);
  assertEquals(all.logprobs.length, 300);
  for (const last of [1, 44, 200, 300]) {
    const { logprobs } = await model.score(tokens, { last });
    assertEquals(logprobs.length, last);
    // One row of logits is made by another kernel than many, so that the last bits differ.
    for (let i = 1; i <= last; i++) assert(Math.abs(logprobs.at(-i)! - all.logprobs.at(-i)!) < 1e-4);
  }
  await assertRejects(() => model.score(tokens, { last: 301 }), RangeError, "the last 301 of 301 tokens");
  await assertRejects(() => model.score([...tokens, 5]), CapacityError, "301 tokens");
  await assertRejects(() => model.score([5, 4096]), RangeError, "Token id 4096 at index 1");
});
