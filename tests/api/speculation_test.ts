import { assert, assertEquals, assertThrows } from "@std/assert";
import { loadModel } from "../../mod.ts";

const folder = new URL("../testdata/pg-nano-yarn-2k", import.meta.url).pathname;
const REFRAIN = "The old man looked at the sea and said that the wind was in the east. ";

/** Where two greedy texts part, if they do. */
function parting(a: readonly number[], b: readonly number[]): number {
  return a.findIndex((token, i) => token !== b[i]);
}

Deno.test("speculation gives the text of greedy selection in fewer passes", async () => {
  using model = await loadModel(folder, { contextLength: 512 });
  const prompt = REFRAIN.repeat(6);
  const plain = await model.generate(prompt, { maxTokens: 200, topLogprobs: 2 }).result;
  const fast = await model.generate(prompt, { maxTokens: 200, speculate: 8 }).result;
  const at = parting(fast.tokens, plain.tokens);
  if (at >= 0) {
    // Rounding depends on how many rows a pass has, and may turn round what is as good as equal.
    const [best, second] = plain.logprobs![at]!.top;
    assert(best!.logprob - second!.logprob < 0.02, `Token ${at} differs`);
  }
  assertEquals(fast.tokens.length, plain.tokens.length);
  const { proposed, accepted } = fast.speculation!;
  // How often it guesses depends on how fast tokens arrive; the model ends in a loop, which is guessed in any case.
  assert(accepted >= 20, `Expected a repetition to be guessed, got ${accepted} of ${proposed}`);
  assertEquals(plain.speculation, undefined);
});

Deno.test("speculation leaves a session as it would be without", async () => {
  using model = await loadModel(folder, { contextLength: 256 });
  const run = async (speculate: number) => {
    using session = model.createSession();
    session.append(REFRAIN.repeat(3));
    const before = session.length;
    let count = 0;
    for await (const { tokens } of session.generate({ maxTokens: 40, speculate })) {
      if ((count += tokens.length) > 9) break;
    }
    assertEquals(session.length, before + count);
    session.truncate(before + 5);
    session.append(" At last");
    const { tokens } = await session.generate({ maxTokens: 12, speculate }).result;
    return [session.tokens.slice(0, before + 5), tokens];
  };
  const [plain, fast] = [await run(0), await run(5)];
  assertEquals(fast, plain);
});

Deno.test("sequences with and without speculation share passes", async () => {
  using model = await loadModel(folder, { contextLength: 512, maxBatch: 6 });
  const prompts = [REFRAIN.repeat(4), "The man was riding just below the summit", REFRAIN.repeat(2)];
  const optionsOf = (i: number) => ({ maxTokens: 30, speculate: i === 1 ? 0 : 5 });
  const together = await Promise.all(prompts.map((prompt, i) => model.generate(prompt, optionsOf(i)).result));
  for (const [i, prompt] of prompts.entries()) {
    const plain = await model.generate(prompt, { maxTokens: 30, topLogprobs: 2 }).result;
    const at = parting(together[i]!.tokens, plain.tokens);
    const [best, second] = at < 0 ? [] : plain.logprobs![at]!.top;
    assert(at < 0 || best!.logprob - second!.logprob < 0.02, `Token ${at} of prompt ${i} differs`);
  }
});

Deno.test("speculation past a change of the rotary frequencies is as without", async () => {
  const directory = new URL("../testdata/tiny/phi3_longrope", import.meta.url).pathname;
  const { tokens } = JSON.parse(await Deno.readTextFile(`${directory}/expected.json`)) as { tokens: number[] };
  using model = await loadModel(directory, { weights: "f32", kvCache: "f32", contextLength: 160 });
  const half = tokens.slice(0, 28);
  const prompt = [...half, ...half];
  const plain = await model.generate(prompt, { maxTokens: 20 }).result;
  const fast = await model.generate(prompt, { maxTokens: 20, speculate: 4 }).result;
  assertEquals([...fast.tokens], [...plain.tokens]);
});

Deno.test("generate() refuses speculation that is not greedy, with a sentence", async () => {
  using model = await loadModel(folder, { contextLength: 256 });
  assertThrows(
    () => model.generate("A", { speculate: 4, temperature: 1 }),
    RangeError,
    "Cannot speculate with temperature 1",
  );
  assertThrows(() => model.generate("A", { speculate: 16 }), RangeError, "from 0 to 15");
});
