import { assert, assertEquals, assertRejects } from "@std/assert";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { loadModel, type Model } from "../../mod.ts";
import { FaultyDevice } from "./faulty_device.ts";

const folder = new URL("../testdata/tiny/head_dim_64", import.meta.url).pathname;
const PROMPT = Array.from({ length: 20 }, (_, i) => 3 + (i * 37) % 200);

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

const load = (device: GPUDevice): Promise<Model> =>
  loadModel(folder, { device, contextLength: 64, prefillChunk: 8, maxBatch: 4 });

/** Runs work once for each call that it makes to the device, and acts at the first await after that call. */
async function atEveryCall(
  faulty: FaultyDevice,
  work: (act: (action: () => void) => void) => Promise<unknown>,
): Promise<number> {
  for (let call = 0;; call++) {
    const first = faulty.calls;
    let action: (() => void) | undefined;
    let isOver = true;
    faulty.onCall = (number) => {
      if (number < first + call || action === undefined) return;
      isOver = false;
      const now = action;
      action = undefined;
      queueMicrotask(now);
    };
    await work((given) => action = given);
    faulty.onCall = () => {};
    assertEquals(faulty.uncaptured, [], `call ${call}`);
    if (isOver) return call;
  }
}

const WAYS = {
  generate: (model: Model, signal: AbortSignal) => model.generate(PROMPT, { maxTokens: 6, signal }).result,
  speculate: (model: Model, signal: AbortSignal) =>
    model.generate(PROMPT, { maxTokens: 6, speculate: 2, signal }).result,
  sample: (model: Model, signal: AbortSignal) =>
    model.generate(PROMPT, { maxTokens: 6, temperature: 1, seed: 1, topLogprobs: 2, signal }).result,
  score: (model: Model, signal: AbortSignal) => model.score(PROMPT, { signal }),
};

for (const [name, run] of Object.entries(WAYS)) {
  Deno.test(`an abort after any call to the device ends it by the signal's reason, and frees its memory: ${name}`, async () => {
    using faulty = await FaultyDevice.request();
    const model = await load(faulty.device);
    const expected = await run(model, new AbortController().signal);
    const kept = faulty.live.size;
    const reason = new Error("The caller has had enough");
    const calls = await atEveryCall(faulty, async (act) => {
      const abort = new AbortController();
      act(() => abort.abort(reason));
      const outcome = await run(model, abort.signal).catch((error) => error);
      if (abort.signal.aborted && outcome instanceof Error) assertEquals(outcome, reason);
      else assertEquals({ ...outcome, timings: 0 }, { ...expected, timings: 0 });
      assert(faulty.live.size <= kept, `${faulty.live.size} buffers, before it were ${kept}`);
    });
    assert(calls >= 10, `${calls} calls`);
    model.dispose();
    assertEquals(faulty.live.size, 0);
  });
}

Deno.test("a session that is disposed after any call to the device ends its generation, and no other", async () => {
  using faulty = await FaultyDevice.request();
  const model = await load(faulty.device);
  const expected = (await model.generate([7, 8, 9], { maxTokens: 6 }).result).tokens;
  const kept = faulty.live.size;
  const calls = await atEveryCall(faulty, async (act) => {
    const session = model.createSession();
    session.append(PROMPT);
    act(() => session.dispose());
    const [outcome, other] = await Promise.allSettled([
      session.generate({ maxTokens: 6 }).result,
      model.generate([7, 8, 9], { maxTokens: 6 }).result,
    ]);
    if (outcome.status === "rejected") assertEquals(`${outcome.reason}`, "TypeError: The session was disposed");
    assert(other.status === "fulfilled");
    assertEquals(other.value.tokens, expected);
    session.dispose();
    assert(faulty.live.size <= kept + 4, `${faulty.live.size} buffers, before it were ${kept}`);
  });
  assert(calls >= 10, `${calls} calls`);
  model.dispose();
  assertEquals(faulty.live.size, 0);
});

Deno.test("a model that is disposed after a call to the device ends all that it does, and frees all memory", async () => {
  using faulty = await FaultyDevice.request();
  let call = 0;
  for (let isOver = false; !isOver; call += 12) {
    const model = await load(faulty.device);
    const first = faulty.calls;
    faulty.onCall = (number) => {
      if (number === first + call) queueMicrotask(() => model.dispose());
    };
    const session = model.createSession();
    session.append(PROMPT);
    const outcomes = await Promise.allSettled([
      session.generate({ maxTokens: 6 }).result,
      model.generate([7, 8, 9], { maxTokens: 6 }).result,
      model.score(PROMPT),
    ]);
    isOver = faulty.calls <= first + call;
    faulty.onCall = () => {};
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") assertEquals(`${outcome.reason}`, "TypeError: The model was disposed");
    }
    assert(isOver || call > 60 || outcomes.some(({ status }) => status === "rejected"));
    model.dispose();
    assertEquals([faulty.live.size, faulty.uncaptured], [0, []], `call ${call}`);
  }
  assert(call > 30, `${call} calls`);
});

Deno.test("a generation that nobody iterates takes nothing, and one that is forgotten half way is ended", async () => {
  using faulty = await FaultyDevice.request();
  const model = await load(faulty.device);
  await model.generate(PROMPT, { maxTokens: 6 }).result;
  const kept = faulty.live.size;
  const before = faulty.calls;
  for (let i = 0; i < 100; i++) {
    const generation = model.generate(PROMPT, { maxTokens: 6 });
    if (i % 2 === 0) generation.stream();
    else generation[Symbol.asyncIterator]();
  }
  assertEquals([faulty.calls, faulty.live.size], [before, kept]);

  const isForgotten = async () => {
    const reader = model.generate(PROMPT, { maxTokens: 6 })[Symbol.asyncIterator]();
    assert(!(await reader.next()).done);
  };
  await isForgotten();
  assert(faulty.live.size > kept, "Expected a generation that is half way to hold memory");
  for (let i = 0; i < 50 && faulty.live.size > kept; i++) {
    collectGarbage();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assertEquals(faulty.live.size, kept);
  model.dispose();
  assertEquals(faulty.live.size, 0);
});

Deno.test("a second generation of one session is refused, and the first goes on", async () => {
  using faulty = await FaultyDevice.request();
  using model = await load(faulty.device);
  using session = model.createSession();
  session.append(PROMPT);
  const [first, second] = [session.generate({ maxTokens: 6 }), session.generate({ maxTokens: 6 })];
  const tokens: number[] = [];
  for await (const chunk of first) {
    tokens.push(...chunk.tokens);
    await assertRejects(() => second.result, TypeError);
  }
  assertEquals(tokens.length, 6);
});
