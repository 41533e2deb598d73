import { assert, assertEquals, assertRejects } from "@std/assert";
import { CapacityError, loadModel, Model } from "../../mod.ts";
import { openRuntime } from "../../src/api/load.ts";
import { openModel } from "../../src/api/opened_model.ts";
import { denoSource } from "../../src/checkpoint/deno_source.ts";
import { resolveSampling } from "../../src/generate/sampling.ts";
import { Decoding } from "../../src/model/decoding.ts";
import { prefill } from "../../src/model/prefill.ts";
import { Sequence } from "../../src/model/sequence.ts";
import { FaultyDevice } from "./faulty_device.ts";

const folder = new URL("../testdata/tiny/head_dim_64", import.meta.url).pathname;

for (const mode of ["scope", "throw"] as const) {
  Deno.test(`a load without memory for any one buffer says which and leaves none: ${mode}`, async () => {
    using faulty = await FaultyDevice.request();
    const { device, live } = faulty;
    for (let failing = 0;; failing++) {
      const first = faulty.allocations;
      faulty.failureOf = (allocation) => allocation === first + failing ? mode : undefined;
      const outcome = await loadModel(folder, { device, contextLength: 64 }).catch((error) => error);
      if (outcome instanceof Model) {
        assert(failing > 60, `${failing} allocations`);
        outcome.dispose();
        assertEquals(live.size, 0);
        break;
      }
      assert(outcome instanceof CapacityError, `Allocation ${failing}: ${outcome}`);
      assert(
        /^Cannot allocate .+ \(\d+ bytes.*\): Not enough memory left; ask for/.test(outcome.message),
        outcome.message,
      );
      // Nothing is known of the model when the buffer for params is made, which is the first.
      if (failing > 0) assert(/the plan is \d+: weights \d+/.test(outcome.message), outcome.message);
      assertEquals([live.size, faulty.uncaptured], [0, []], `Allocation ${failing}: ${outcome.message}`);
    }
  });
}

Deno.test("work without memory for any one buffer says so, keeps none, and goes on when there is some", async () => {
  using faulty = await FaultyDevice.request();
  const { device, live } = faulty;
  // 250 tokens fit in the first cache, 260 do not.
  const prompt = Array.from({ length: 250 }, (_, i) => 3 + (i * 37) % 200);
  using model = await loadModel(folder, { device, contextLength: 512, maxBatch: 4 });
  // Staging buffers are used again; how many there are depends on who waits when.
  const held = () => [...live].filter(({ label }) => label !== "staging").length;
  const works = {
    generate: async () => [...(await model.generate(prompt, { maxTokens: 10, topLogprobs: 2 }).result).tokens],
    speculate: async () => [...(await model.generate(prompt, { maxTokens: 10, speculate: 3 }).result).tokens],
    score: async () => [(await model.score(prompt)).perplexity],
    fork: async () => {
      using session = model.createSession();
      session.append(prompt);
      await session.generate({ maxTokens: 1 }).result;
      using fork = session.fork();
      return [...(await fork.generate({ maxTokens: 10 }).result).tokens];
    },
    save: async () => {
      using session = model.createSession();
      session.append(prompt);
      const { tokens } = await session.generate({ maxTokens: 1 }).result;
      const { readable, writable } = new TransformStream<Uint8Array, Uint8Array<ArrayBuffer>>();
      const [blob] = await Promise.all([new Response(readable).blob(), session.save(writable)]);
      using restored = await model.restoreSession(blob);
      return [...tokens, ...(await restored.generate({ maxTokens: 10 }).result).tokens];
    },
  };
  for (const [name, work] of Object.entries(works)) {
    const expected = await work();
    const kept = held();
    for (const mode of ["scope", "throw"] as const) {
      for (let failing = 0, isOver = false; !isOver; failing++) {
        const first = faulty.allocations;
        faulty.failureOf = (allocation) => allocation === first + failing ? mode : undefined;
        const outcome = await work().catch((error) => error);
        isOver = faulty.allocations <= first + failing;
        faulty.failureOf = () => undefined;
        const what = `${name}, ${mode}, allocation ${failing}: ${outcome}`;
        if (outcome instanceof Error) {
          assert(outcome instanceof CapacityError && /the plan is \d+: weights/.test(outcome.message), what);
        } else {
          assertEquals(outcome, expected, what);
        }
        assert(!isOver || failing > (name === "score" ? 3 : 15), what);
        assertEquals(faulty.uncaptured, [], what);
        assert(held() <= kept, `${what}: ${held()} buffers, before it were ${kept}`);
      }
    }
    assertEquals(await work(), expected);
  }
  model.dispose();
  assertEquals(live.size, 0);
});

Deno.test("a generation whose cache cannot grow fails, and those that share its passes do not", async () => {
  using faulty = await FaultyDevice.request();
  const { device } = faulty;
  const long = Array.from({ length: 250 }, (_, i) => 3 + (i * 37) % 200);
  using model = await loadModel(folder, { device, contextLength: 512, maxBatch: 4 });
  const options = { maxTokens: 40, topLogprobs: 2 };
  const expected = await model.generate(long.slice(0, 9), options).result;
  let layers = 0;
  // The long sequence asks for its first keys before its prompt is fed, and for more of them in the midst of decoding.
  faulty.failureOf = (_, label) => label === "keys of layer 1" && layers++ === 2 ? "scope" : undefined;
  const [failed, other] = await Promise.all([
    assertRejects(
      async () => {
        const session = model.createSession();
        session.append(long.slice(0, 200));
        await session.generate({ maxTokens: 10 }).result;
        session.append(long.slice(0, 30));
        await session.generate({ maxTokens: 40 }).result;
      },
      CapacityError,
      "Cannot allocate keys of layer 1",
    ),
    model.generate(long.slice(0, 9), options).result,
  ]);
  assert(failed.message.includes("KV cache"), failed.message);
  assertEquals([other.tokens, faulty.uncaptured], [expected.tokens, []]);
});

Deno.test("a sequence whose rope table cannot grow fails, and those that share its pass do not", async () => {
  using faulty = await FaultyDevice.request();
  const { device } = faulty;
  // The table has 1,024 positions from the load on.
  const options = { device, contextLength: 2048, prefillChunk: 1024, maxBatch: 4 };
  const runtime = (await openRuntime(await openModel(await denoSource(folder), options), options)).runtime;
  using _ = runtime.gpu;
  const sequenceOf = (length: number, room: number) => {
    const sequence = new Sequence(runtime);
    sequence.append(Array.from({ length }, (_, i) => 3 + (i * 37) % 200));
    return sequence.reserve(room).then(() => sequence);
  };
  const [long, short] = [await sequenceOf(40, 1100), await sequenceOf(9, 20)];
  faulty.failureOf = (_, label) => label === "rope table" ? "scope" : undefined;
  const refused = (work: () => Promise<unknown>) => assertRejects(work, CapacityError, "Cannot allocate rope table");

  // Prompts that wait for one turn.
  const turn = Promise.withResolvers<void>();
  void runtime.exclusive(() => turn.promise);
  const work = { finish: () => Promise.resolve() };
  const fed = [long, short].map((sequence) => prefill(sequence, sequence.tokens, work));
  turn.resolve();
  await Promise.all([refused(() => fed[0]!), fed[1]]);
  assertEquals([long.nFed, short.nFed], [0, 9]);

  // Generations that ask for one pass; the long one's cache grows on the way.
  const grown = await sequenceOf(9, 20);
  const decodings = [grown, short].map((sequence) => new Decoding(sequence, resolveSampling()));
  for (const decoding of decodings) await (await decoding.begin(0)).tokens();
  await grown.reserve(1100);
  const batches = decodings.map((decoding) => decoding.advance(1));
  await Promise.all([refused(() => batches[0]!), batches[1]!.then((batch) => batch.tokens())]);
  for (const decoding of decodings) decoding.end();
  for (const sequence of [long, short, grown]) sequence.dispose();
  assertEquals(faulty.uncaptured, []);
});
