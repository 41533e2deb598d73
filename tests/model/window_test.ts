import { assert, assertEquals, assertRejects } from "@std/assert";
import { loadModel, type LoadOptions, type Model } from "../../mod.ts";
import { KV_FORMATS } from "../../src/kernels/kv_formats.ts";
import { gpu } from "../wgsl/fixture.ts";

/** All layers have a window of 24 tokens, or the second of two has. */
const NAMES = ["mistral_window", "qwen2_window"] as const;
const ALL_F32 = { weights: "f32", kvCache: "f32", contextLength: 256 } as const;

const pathOf = (name: string) => new URL(`../testdata/tiny/${name}`, import.meta.url).pathname;
const open = (name: string, options: LoadOptions) => loadModel(pathOf(name), { ...ALL_F32, ...options });
const textOf = async (name: string): Promise<{ tokens: number[]; logprobs: number[] }> =>
  JSON.parse(await Deno.readTextFile(`${pathOf(name)}/expected.json`));

/** What a sequence that was never cut goes on with. */
async function fresh(model: Model, tokens: readonly number[], maxTokens: number): Promise<number[]> {
  return [...(await model.generate(tokens, { maxTokens }).result).tokens];
}

for (const name of NAMES) {
  for (const prefillChunk of [1, 7, 64]) {
    Deno.test(`a cache of the window gives transformers' logprobs: ${name}, chunks of ${prefillChunk}`, async () => {
      const { tokens, logprobs } = await textOf(name);
      using model = await open(name, { prefillChunk });
      const got = (await model.score(tokens)).logprobs;
      const worst = logprobs.reduce((most, value, i) => Math.max(most, Math.abs(value - got[i]!)), 0);
      assert(worst <= 1e-3, `A logprob is off by ${worst}`);
    });
  }
}

for (const kvCache of KV_FORMATS) {
  Deno.test(`a session that goes back, is forked or restored goes on as a fresh one: ${kvCache}`, async () => {
    // Heads of 16 elements with a window in every layer: a ring of 64 rows, gone round thrice.
    using model = await open("mistral_window", { kvCache, prefillChunk: 7 });
    using other = await open("mistral_window", { kvCache, prefillChunk: 64 });
    const { tokens } = await textOf("mistral_window");
    using session = model.createSession();
    session.append(tokens.slice(0, 200));
    const first = [...(await session.generate({ maxTokens: 12 }).result).tokens];
    assertEquals(first, await fresh(model, tokens.slice(0, 200), 12));

    const blob = await saved((writable) => session.save(writable));
    for (const home of [model, other]) {
      using restored = await home.restoreSession(blob);
      restored.append(tokens.slice(1, 3));
      const went = [...(await restored.generate({ maxTokens: 6 }).result).tokens];
      assertEquals(went, await fresh(model, [...tokens.slice(0, 200), ...first, ...tokens.slice(1, 3)], 6));
    }
    using fork = session.fork();
    fork.append(tokens.slice(3, 6));
    const forked = [...(await fork.generate({ maxTokens: 6 }).result).tokens];
    assertEquals(forked, await fresh(model, [...tokens.slice(0, 200), ...first, ...tokens.slice(3, 6)], 6));

    // A little, further than the ring reaches, further than the window, and to where the ring had not gone round.
    for (const length of [205, 190, 150, 100, 20]) {
      session.truncate(length);
      const cut = [...tokens.slice(0, 200), ...first].slice(0, length);
      using branch = session.fork();
      using back = await model.restoreSession(await saved((writable) => session.save(writable)));
      const expected = await fresh(model, [...cut, 5, 6, 7], 5);
      for (const each of [branch, back]) {
        each.append([5, 6, 7]);
        assertEquals([...(await each.generate({ maxTokens: 5 }).result).tokens], expected, `Cut to ${length}`);
      }
    }
  });
}

Deno.test("guesses that were wrong take rows of the ring too", async () => {
  using model = await open("mistral_window", { prefillChunk: 7 });
  const { tokens } = await textOf("mistral_window");
  // Two layers see no further than the last 47 tokens, so that what follows is known before the prompt is made.
  const tail = tokens.slice(1, 81);
  const [next] = await fresh(model, tail, 1);
  const wrong = [3, 4, 3, 4, 3, 4];
  const prompt = [...tokens.slice(100, 200), ...tail.slice(-4), next!, ...wrong, ...tail];
  using session = model.createSession();
  session.append(prompt);
  const generation = session.generate({ maxTokens: 20, speculate: 6 });
  let generated = 0;
  for await (const chunk of generation) if ((generated += chunk.tokens.length) >= 2) break;
  const all = [...session.tokens];
  // The ring has 64 rows: at its end, 40 tokens and more lie behind the window.
  for (let back = 30; back <= 44; back += 2) {
    using fork = session.fork();
    fork.truncate(all.length - back);
    const got = [...(await fork.generate({ maxTokens: 3 }).result).tokens];
    assertEquals(got, await fresh(model, all.slice(0, all.length - back), 3), `${back} back`);
  }
});

Deno.test("a prompt that is stopped on its way takes rows of the ring too", async () => {
  const { device } = gpu;
  using model = await open("mistral_window", { device, prefillChunk: 40 });
  const { tokens } = await textOf("mistral_window");
  using session = model.createSession();
  session.append(tokens.slice(0, 100));
  await session.generate({ maxTokens: 1 }).result;
  session.truncate(100);
  session.append(tokens.slice(100, 140));
  const controller = new AbortController();
  const submit = device.queue.submit.bind(device.queue);
  device.queue.submit = (buffers) => {
    submit(buffers);
    controller.abort(new Error("enough"));
  };
  try {
    await assertRejects(() => session.generate({ maxTokens: 1, signal: controller.signal }).result, Error, "enough");
  } finally {
    device.queue.submit = submit;
  }
  // The ring has 64 rows: tokens 100 to 139 lie where 36 to 75 did, and the window reaches 24 back.
  for (const length of [100, 95, 90, 85]) {
    session.truncate(length);
    using fork = session.fork();
    const got = [...(await fork.generate({ maxTokens: 5 }).result).tokens];
    assertEquals(got, await fresh(model, tokens.slice(0, length), 5), `Cut to ${length}`);
  }
});

Deno.test("a cache grows to the ring and no further, as planned", async () => {
  const { tokens } = await textOf("mistral_window");
  for (const [name, layers] of [["mistral_window", [64, 64]], ["qwen2_window", [256, 64]]] as const) {
    using model = await open(name, { prefillChunk: 40 });
    using session = model.createSession();
    session.append(tokens.slice(0, 249));
    let allocated = 0;
    for await (const _ of session.generate({ maxTokens: 7 })) {
      allocated = Math.max(allocated, model.memory.allocatedBytes);
    }
    const bytes = layers.reduce((sum, rows) => sum + 2 * rows * 16 * 4, 0);
    assertEquals([model.memory.kvBytes, model.plan.kvBytes], [bytes, bytes]);
    assertEquals(allocated, model.plan.totalBytes);
  }
});

async function saved(save: (writable: WritableStream<Uint8Array>) => Promise<void>): Promise<Blob> {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array<ArrayBuffer>>();
  const [blob] = await Promise.all([new Response(readable).blob(), save(writable)]);
  return blob;
}
