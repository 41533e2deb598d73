import { assert, assertEquals, assertRejects } from "@std/assert";
import { inspectModel, type KvFormat, loadModel, type Model } from "../../mod.ts";
import { CONFIG, sourceOf } from "../checkpoint/tiny_checkpoint.ts";
import { FaultyDevice } from "../faults/faulty_device.ts";

const folder = new URL("../testdata/pg-nano-yarn-2k", import.meta.url).pathname;
const book = await Deno.readTextFile(new URL("../testdata/pg19/keith_of_the_border.txt", import.meta.url));
const open = (kvCache: KvFormat): Promise<Model> => loadModel(folder, { kvCache, contextLength: 1024 });

/** What a format may cost in perplexity: a factor of the one with f16. */
const LIMITS = { q8: 1.001, q4: 1.01 } as const;

Deno.test("keys and values in q8 cost under 0.1% perplexity, in q4 under 1%", async () => {
  using half = await open("f16");
  const tokens = half.tokenizer.encode(book.slice(4000), { addSpecialTokens: true }).slice(0, 1024);
  const { perplexity } = await half.score(tokens);
  for (const format of ["q8", "q4"] as const) {
    using model = await open(format);
    const got = (await model.score(tokens)).perplexity;
    assert(got <= perplexity * LIMITS[format], `${format}: ${got}, f16: ${perplexity}`);
    assert(got !== perplexity, `${format} changes nothing: is it used?`);
    assertEquals([model.plan.kvCache, model.memory.kvBytes], [format, model.plan.kvBytes]);
  }
});

for (const format of ["q8", "q4"] as const) {
  Deno.test(`a session over ${format} goes on like one that is fed anew, forked or restored`, async () => {
    using model = await open(format);
    using session = model.createSession();
    session.append(book.slice(4000, 5200));
    const first = await session.generate({ maxTokens: 40 }).result;
    const file = await Deno.makeTempFile();
    try {
      await session.save(file);
      using fork = session.fork();
      using restored = await model.restoreSession(file);
      using anew = model.createSession();
      anew.append(session.tokens);
      const next = await session.generate({ maxTokens: 20 }).result;
      assertEquals((await fork.generate({ maxTokens: 20 }).result).tokens, next.tokens);
      assertEquals((await restored.generate({ maxTokens: 20 }).result).tokens, next.tokens);
      assertEquals((await anew.generate({ maxTokens: 20 }).result).tokens, next.tokens);
      assertEquals([first.tokens.length, next.tokens.length], [40, 20]);
    } finally {
      await Deno.remove(file);
    }
  });
}

Deno.test("a head_dim that has no whole groups is refused by name for q8 and q4, and planned without them", async () => {
  const odd = sourceOf(undefined, { ...CONFIG, head_dim: 20 });
  using faulty = await FaultyDevice.request();
  for (const kvCache of ["q8", "q4"] as const) {
    await assertRejects(
      () => inspectModel(odd, { kvCache, device: faulty.device }),
      RangeError,
      `Cannot load with kvCache "${kvCache}": the model's head_dim 20 is not a multiple of 16; use f16 or f32`,
    );
    assertEquals(faulty.live.size, 0);
  }
  const caches = async (config: typeof CONFIG) => {
    const { plan } = await inspectModel(sourceOf(undefined, config), { weights: "f16" });
    return plan.map(({ kvCache }) => kvCache);
  };
  assertEquals(await caches({ ...CONFIG, head_dim: 20 } as typeof CONFIG), ["f16"]);
  assertEquals(await caches(CONFIG), ["f16", "q8", "q4"]);
});

Deno.test("an error about memory names the storage and the context lengths that would fit", async () => {
  const { plan } = await inspectModel(folder, { weights: "f16", contextLength: 2048 });
  const [f16, q8, q4] = plan.map(({ totalBytes }) => totalBytes) as [number, number, number];
  assert(f16 > q8 && q8 > q4);
  const advice = async (memoryLimit: number) => {
    const loading = loadModel(folder, { weights: "f16", contextLength: 2048, memoryLimit });
    return (await assertRejects(() => loading, RangeError)).message.replace(/.*; /, "");
  };
  const assertAdvice = async (limit: number, expected: RegExp) => {
    const said = await advice(limit);
    assert(expected.test(said), said);
  };
  await assertAdvice(q8, /^try KV cache q8, or weights q8, or weights q4, or context length 1?\d{3}$/);
  await assertAdvice(q4, /^try KV cache q4, or weights q8/);
  const limit = 6_000_000;
  const [, most] = /^try weights q4 and KV cache q4 and context length (\d+)$/.exec(await advice(limit)) ?? [];
  const fits = async (contextLength: number) => {
    const options = { weights: "q4", kvCache: "q4", contextLength, memoryLimit: limit } as const;
    return (await inspectModel(folder, options)).plan.map(({ fits }) => fits);
  };
  assertEquals([await fits(Number(most)), await fits(Number(most) + 1)], [[true], [false]]);
  await assertAdvice(
    1e6,
    /^nothing smaller fits: weights q4 and KV cache q4 and context length 1 would need \d+ bytes$/,
  );
});
