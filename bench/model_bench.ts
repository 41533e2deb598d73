/**
 * `deno bench` of loading, prefill and decode on the demo's model. Deno tells a read of the GPU's results some 10 ms
 * late, which a decoded token hides behind the next one and a load and a prefill show once or twice.
 *
 * @module
 */
import { loadModel } from "../mod.ts";
import { EXCERPT } from "./generate_bench.ts";

const PATH = new URL("../tests/testdata/pg-nano-yarn-2k", import.meta.url).pathname;
const PROMPT_TOKENS = 512;
const TOKENS = 64;

const model = await loadModel(PATH);
const prompt = model.tokenizer.encode(await Deno.readTextFile(EXCERPT)).slice(0, PROMPT_TOKENS);

Deno.bench({
  name: "load, pipelines included",
  n: 5,
  warmup: 1,
  fn: async () => {
    (await loadModel(PATH)).dispose();
  },
});

Deno.bench({
  name: `prefill of ${PROMPT_TOKENS} tokens`,
  n: 5,
  warmup: 1,
  fn: async () => {
    await model.generate(prompt, { maxTokens: 1 }).result;
  },
});

Deno.bench({
  name: `decode of ${TOKENS} tokens after ${PROMPT_TOKENS}`,
  n: 5,
  warmup: 1,
  fn: async (b) => {
    using session = model.createSession();
    session.append(prompt);
    const iterator = session.generate({ maxTokens: TOKENS + 1 })[Symbol.asyncIterator]();
    // The first token comes with the prefill.
    await iterator.next();
    b.start();
    while (!(await iterator.next()).done);
    b.end();
  },
});
