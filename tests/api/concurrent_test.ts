import { assert, assertEquals, assertRejects } from "@std/assert";
import { type GenerateOptions, type Generation, loadModel, type Model, ShaderError } from "../../mod.ts";
import { Scheduler } from "../../src/model/scheduler.ts";

const folder = new URL("../testdata/pg-nano-yarn-2k", import.meta.url).pathname;
const book = await Deno.readTextFile(new URL("../testdata/pg19/keith_of_the_border.txt", import.meta.url));
const open = (options: Parameters<typeof loadModel>[1] = {}) => loadModel(folder, { contextLength: 512, ...options });

/** Prompts of different lengths from different places of a book. */
function promptsOf(model: Model, count: number): number[][] {
  const tokens = Array.from(model.tokenizer.encode(book));
  return Array.from({ length: count }, (_, i) => tokens.slice(100 * i, 100 * i + 5 + 7 * i));
}

/** Logits below this apart may change places by rounding, which depends on how many rows a pass has. */
const NEAR = 0.02;

/** Holds where a greedy text is the one that its prompt gives alone, up to where the two best tokens are near. */
async function assertAsAlone(
  model: Model,
  prompt: readonly number[],
  tokens: readonly number[],
  options: GenerateOptions,
) {
  const alone = await model.generate(prompt, { ...options, topLogprobs: 2 }).result;
  const at = tokens.findIndex((token, i) => token !== alone.tokens[i]);
  if (at < 0) return assert(tokens.length > 0);
  const [best, second] = alone.logprobs![at]!.top;
  const gap = best!.logprob - second!.logprob;
  assert(gap < NEAR && tokens[at] === second!.token, `Token ${at} differs where the best leads by ${gap}`);
}

async function drain(generation: Generation): Promise<number[]> {
  return [...(await generation.result).tokens];
}

/** How many dispatches `work` makes. */
async function countDispatches(work: () => Promise<unknown>): Promise<number> {
  const encoder = GPUComputePassEncoder.prototype;
  const dispatch = encoder.dispatchWorkgroups;
  let count = 0;
  encoder.dispatchWorkgroups = function (x, y, z) {
    count++;
    return dispatch.call(this, x, y, z);
  };
  try {
    await work();
  } finally {
    encoder.dispatchWorkgroups = dispatch;
  }
  return count;
}

Deno.test("generations that run at once share passes and give the texts that they give alone", async () => {
  using model = await open();
  const prompts = promptsOf(model, 8);
  const options = { maxTokens: 24 };
  let texts: number[][] = [];
  const together = await countDispatches(async () => {
    texts = await Promise.all(prompts.map((prompt) => drain(model.generate(prompt, options))));
  });
  const alone = await countDispatches(async () => {
    for (const [i, prompt] of prompts.entries()) await assertAsAlone(model, prompt, texts[i]!, options);
  });
  // Of a pass's dispatches 7 a layer serve all 8 sequences and 3 serve one each: 31, where alone they take 8 times 7.
  assert(together < 0.7 * alone, `Expected far less than ${alone} dispatches, got ${together}`);
});

Deno.test("prompts that come at once are fed in one pass", async () => {
  using model = await open();
  const prompts = promptsOf(model, 5);
  const texts: number[][] = [];
  const feed = async (prompt: readonly number[], i: number) => {
    texts[i] = await drain(model.generate(prompt, { maxTokens: 1 }));
  };
  const together = await countDispatches(() => Promise.all(prompts.map(feed)));
  const alone = await countDispatches(async () => {
    for (const [i, prompt] of prompts.entries()) await assertAsAlone(model, prompt, texts[i]!, { maxTokens: 1 });
  });
  // Of a chunk's dispatches 7 a layer serve all 5 prompts and 2 serve one each: 17, where alone they take 5 times 9.
  assert(together < 0.5 * alone, `Expected far less than ${alone} dispatches, got ${together}`);
});

Deno.test("a prompt that is given up while it is fed with others stops none of them", async () => {
  using model = await open();
  const [first, second, third] = promptsOf(model, 3) as [number[], number[], number[]];
  using session = model.createSession();
  session.append(second);
  const { runChunk } = Scheduler.prototype;
  const fed: number[] = [];
  Scheduler.prototype.runChunk = function (recorder, signal, nSequences) {
    if (fed.push(nSequences) === 1) session.dispose();
    return runChunk.call(this, recorder, signal, nSequences);
  };
  try {
    const given = assertRejects(() => session.generate({ maxTokens: 8 }).result, TypeError, "The session was disposed");
    const texts = await Promise.all([first, third].map((prompt) => drain(model.generate(prompt, { maxTokens: 8 }))));
    await given;
    assertEquals(fed, [3, 2]);
    await assertAsAlone(model, first, texts[0]!, { maxTokens: 8 });
    await assertAsAlone(model, third, texts[1]!, { maxTokens: 8 });
  } finally {
    Scheduler.prototype.runChunk = runChunk;
  }
});

Deno.test("a text does not depend on the order in which generations start, nor its random numbers on the others", async () => {
  using model = await open();
  const prompts = promptsOf(model, 5);
  const optionsOf = (i: number) => i % 2 === 0 ? { maxTokens: 16 } : { maxTokens: 16, temperature: 0.8, seed: i };
  const run = async (order: readonly number[]) => {
    const texts: number[][] = [];
    await Promise.all(order.map(async (i) => texts[i] = await drain(model.generate(prompts[i]!, optionsOf(i)))));
    return texts;
  };
  const forwards = await run([0, 1, 2, 3, 4]);
  const backwards = await run([4, 3, 2, 1, 0]);
  for (const [i, prompt] of prompts.entries()) {
    if (i % 2 === 0) {
      for (const texts of [forwards, backwards]) await assertAsAlone(model, prompt, texts[i]!, optionsOf(i));
    } else {
      const alone = await drain(model.generate(prompt, optionsOf(i)));
      assertEquals([forwards[i], backwards[i]], [alone, alone]);
    }
  }
});

Deno.test("generations join and leave a running batch", async () => {
  using model = await open();
  const [first, second, third] = promptsOf(model, 3) as [number[], number[], number[]];
  const texts: number[][] = [[], [], []];
  const joined: Promise<unknown>[] = [];
  for await (const { tokens } of model.generate(first, { maxTokens: 40 })) {
    texts[0]!.push(...tokens);
    if (joined.length === 0 && texts[0]!.length >= 5) {
      joined.push(drain(model.generate(second, { maxTokens: 8 })).then((tokens) => texts[1] = tokens));
      joined.push((async () => {
        for await (const { tokens } of model.generate(third, { maxTokens: 100 })) {
          if (texts[2]!.push(...tokens) >= 6) break;
        }
      })());
    }
  }
  await Promise.all(joined);
  assertEquals(texts.map(({ length }) => length), [40, 8, 6]);
  await assertAsAlone(model, first, texts[0]!, { maxTokens: 40 });
  await assertAsAlone(model, second, texts[1]!, { maxTokens: 8 });
  await assertAsAlone(model, third, texts[2]!, { maxTokens: 6 });
});

Deno.test("an abort, a disposed session and a failing caller end their generation and no other", async () => {
  using model = await open();
  const [first, second, third, fourth] = promptsOf(model, 4) as [number[], number[], number[], number[]];
  const abort = new AbortController();
  const session = model.createSession();
  session.append(second);
  const outcomes = Promise.allSettled([
    (async () => {
      let count = 0;
      for await (const _ of model.generate(first, { maxTokens: 400, signal: abort.signal })) {
        if (++count === 4) abort.abort(new Error("enough"));
      }
    })(),
    (async () => {
      let count = 0;
      for await (const _ of session.generate({ maxTokens: 400 })) if (++count === 6) session.dispose();
    })(),
    (async () => {
      let count = 0;
      for await (const _ of model.generate(third, { maxTokens: 400 })) {
        if (++count === 8) throw new Error("the caller has failed");
      }
    })(),
  ]);
  const tokens = await drain(model.generate(fourth, { maxTokens: 60 }));
  const reasons = (await outcomes).map((outcome) => `${(outcome as PromiseRejectedResult).reason}`);
  assertEquals(reasons, [
    "Error: enough",
    "TypeError: The session was disposed",
    "Error: the caller has failed",
  ]);
  assertEquals(tokens.length, 60);
  await assertAsAlone(model, fourth, tokens, { maxTokens: 60 });
});

Deno.test("a sequence whose cache holds NaN fails alone", async () => {
  using model = await open();
  const [broken, whole] = promptsOf(model, 2) as [number[], number[]];
  const path = await Deno.makeTempFile();
  try {
    const session = model.createSession();
    session.append(broken);
    await session.generate({ maxTokens: 1 }).result;
    await session.save(path);
    session.dispose();
    const bytes = await Deno.readFile(path);
    // Keys and values are at the end: an f16 of all ones is a NaN.
    bytes.fill(0xff, bytes.length - 4096);
    await Deno.writeFile(path, bytes);
    using poisoned = await model.restoreSession(path);
    const [failure, tokens] = await Promise.all([
      assertRejects(() => drain(poisoned.generate({ maxTokens: 50 })), ShaderError, "not finite"),
      drain(model.generate(whole, { maxTokens: 30 })),
    ]);
    assert(failure instanceof ShaderError);
    await assertAsAlone(model, whole, tokens, { maxTokens: 30 });
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("disposing a model ends all that it is at work on, and says so", async () => {
  const model = await open();
  const prompts = promptsOf(model, 4);
  let seen = 0;
  const outcomes = await Promise.allSettled([
    ...prompts.map(async (prompt) => {
      for await (const _ of model.generate(prompt, { maxTokens: 400 })) if (++seen === 20) model.dispose();
    }),
    model.generate(book.slice(0, 1200), { maxTokens: 400 }).result,
    model.score(book.slice(0, 1200)),
  ]);
  for (const outcome of outcomes) {
    if (outcome.status === "fulfilled") continue;
    assertEquals(`${outcome.reason}`, "TypeError: The model was disposed");
  }
  assert(outcomes.filter(({ status }) => status === "rejected").length >= 4);
});

Deno.test("more generations than a pass holds take turns", async () => {
  using model = await open({ maxBatch: 2 });
  const prompts = promptsOf(model, 5);
  const texts = await Promise.all(prompts.map((prompt) => drain(model.generate(prompt, { maxTokens: 10 }))));
  assertEquals(texts.map(({ length }) => length), [10, 10, 10, 10, 10]);
  for (const [i, prompt] of prompts.entries()) await assertAsAlone(model, prompt, texts[i]!, { maxTokens: 10 });
  await assertRejects(() => open({ maxBatch: 0 }), RangeError, "maxBatch 0: expected an integer from 1 to 64");
});

Deno.test("a stream goes on while a long prompt is fed beside it", async () => {
  using model = await open({ contextLength: 1024 });
  const long = Array.from(model.tokenizer.encode(book)).slice(0, 900);
  const [prompt] = promptsOf(model, 1) as [number[]];
  const texts: number[][] = [[], []];
  let during = 0;
  let started: Promise<unknown> | undefined;
  const abort = new AbortController();
  await assertRejects(
    async () => {
      for await (const { tokens } of model.generate(prompt, { maxTokens: 1000, signal: abort.signal })) {
        texts[0]!.push(...tokens);
        if (started !== undefined && texts[1]!.length === 0) during++;
        if (texts[0]!.length >= 3) {
          started ??= (async () => {
            for await (const { tokens } of model.generate(long, { maxTokens: 3 })) texts[1]!.push(...tokens);
            abort.abort(new Error("done"));
          })();
        }
      }
    },
    Error,
    "done",
  );
  await started;
  assert(during >= 4, `Expected tokens while the prompt was fed, got ${during}`);
  await assertAsAlone(model, long, texts[1]!, { maxTokens: 3 });
});

for (const name of ["dynamic_ntk", "phi3_longrope"]) {
  Deno.test(`sequences whose frequencies change at different times are as alone: ${name}`, async () => {
    const directory = new URL(`../testdata/tiny/${name}`, import.meta.url).pathname;
    const { tokens: text } = JSON.parse(await Deno.readTextFile(`${directory}/expected.json`)) as { tokens: number[] };
    using model = await loadModel(directory, { weights: "f32", kvCache: "f32", contextLength: 160, prefillChunk: 16 });
    const prompts = [60, 58, 20, 63].map((length) => text.slice(0, length));
    assertEquals(prompts.map(({ length }) => length), [60, 58, 20, 63]);
    const texts = await Promise.all(prompts.map((prompt) => drain(model.generate(prompt, { maxTokens: 10 }))));
    for (const [i, prompt] of prompts.entries()) await assertAsAlone(model, prompt, texts[i]!, { maxTokens: 10 });
  });
}
