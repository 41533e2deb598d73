import { assert, assertEquals, assertThrows } from "@std/assert";
import { loadModel } from "../../mod.ts";

const TINY = new URL("../testdata/tiny/gqa_tied", import.meta.url).pathname;
const PROMPT = Array.from({ length: 20 }, (_, i) => (i * 37) % 250);

Deno.test("a generation tells the log-probabilities that score() gives, greedy and sampled", async () => {
  using model = await loadModel(TINY, { weights: "f32" });
  for (const options of [{}, { temperature: 0.7, seed: 3, frequencyPenalty: 1 }]) {
    const generation = model.generate(PROMPT, { maxTokens: 12, topLogprobs: 3, ...options });
    const streamed = [];
    for await (const { tokens, logprobs } of generation) {
      assertEquals(logprobs!.map(({ token }) => token), [...tokens]);
      streamed.push(...logprobs!);
    }
    const { tokens, logprobs } = await generation.result;
    assertEquals(logprobs, streamed);
    const scored = await model.score([...PROMPT, ...tokens], { last: tokens.length });
    for (const [i, { logprob, top }] of logprobs!.entries()) {
      assert(Math.abs(logprob - scored.logprobs[i]!) < 1e-4, `${logprob} is not ${scored.logprobs[i]}`);
      assertEquals(top.length, 3);
      if (options.temperature === undefined) assertEquals(top[0]!.token, tokens[i]);
    }
  }
  assertEquals((await model.generate(PROMPT, { maxTokens: 1 }).result).logprobs, undefined);
});

Deno.test("a bias makes or bans a token, and a penalty keeps one from coming back", async () => {
  using model = await loadModel(TINY, { weights: "f32" });
  const run = async (options: object) => (await model.generate(PROMPT, { maxTokens: 8, ...options }).result).tokens;
  const plain = await run({});
  assertEquals(await run({ logitBias: { 7: 100 } }), Array(8).fill(7));
  assert(!(await run({ logitBias: { [plain[0]!]: -100 } })).includes(plain[0]!));
  const ids = await run({ logitBias: { 7: 4, 9: 4, 11: 4 }, frequencyPenalty: 2 });
  assert(new Set(ids).size > 1, `Expected a frequency penalty to bring other tokens, got ${ids}`);
  assertThrows(() => model.generate(PROMPT, { logitBias: { [model.config.vocabSize]: 1 } }), RangeError, "token ids");
});
