import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { DeviceLostError, loadModel } from "../../mod.ts";
import { Engine, type EngineRequest } from "../../src/server/engine.ts";
import { chatFolder } from "../chat/chat_folder.ts";
import { MODEL, serveModel } from "./served_model.ts";

const PROMPT = "The man was riding just below the summit";

async function requestDevice(): Promise<GPUDevice> {
  const adapter = await navigator.gpu.requestAdapter();
  const device = await adapter!.requestDevice();
  // Deno asks the adapter on first use, and panics where that is garbage by then.
  void device.adapterInfo;
  return device;
}

Deno.test("a server whose device is lost tells all who wait, loads the model again, and goes on", async () => {
  await using folder = await chatFolder();
  const [first, second] = [await requestDevice(), await requestDevice()];
  using model = await loadModel(folder.path, { contextLength: 256, device: first });
  const loading = Promise.withResolvers<void>();
  let failures = 1;
  await using served = await serveModel({
    maxRunning: 2,
    reload: async (lost) => {
      await loading.promise;
      // The first time there is no device yet, as while a driver starts again.
      if (failures-- > 0) throw new Error("no adapter");
      await lost.reload({ device: second });
    },
  }, model);
  const body = { model: MODEL, prompt: PROMPT, temperature: 0, max_tokens: 200 };
  const expected = await (await served.post("/v1/completions", { ...body, max_tokens: 9 })).json();
  const stream = await served.post("/v1/completions", { ...body, stream: true });
  const reader = stream.body!.pipeThrough(new TextDecoderStream()).getReader();
  await reader.read();
  const others = [1, 2].map(() => served.post("/v1/completions", body));
  first.destroy();
  let rest = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) rest += part.value;
  assertStringIncludes(rest, '"code":"device_lost"');
  for (const response of await Promise.all(others)) {
    assertEquals([response.status, response.headers.get("retry-after")], [503, "5"]);
    assertEquals((await response.json()).error.code, "device_lost");
  }
  const health = await served.ask("/health");
  assertEquals([health.status, await health.json()], [503, { status: "device lost" }]);
  const refused = await served.post("/v1/completions", body);
  assertStringIncludes((await refused.json()).error.message, "not loaded again yet");
  loading.resolve();
  for (let isWell = false; !isWell;) {
    const response = await served.ask("/health");
    isWell = response.status === 200;
    await response.body?.cancel();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const again = await (await served.post("/v1/completions", { ...body, max_tokens: 9 })).json();
  assertEquals([again.choices, again.usage], [expected.choices, expected.usage]);
  const log = served.log.join("\n");
  assert(!log.includes("riding"), log);
  for (const line of ["is being loaded again", "cannot be loaded again: Error", "is loaded again"]) {
    assertStringIncludes(log, line);
  }
  second.destroy();
});

Deno.test("an engine loads a model again once, though a slow reader sees the loss after that", async () => {
  const [first, second] = [await requestDevice(), await requestDevice()];
  const folder = new URL("../testdata/tiny/gqa_tied", import.meta.url).pathname;
  using model = await loadModel(folder, { contextLength: 128, device: first });
  let reloads = 0;
  const isWell = Promise.withResolvers<void>();
  const engine = new Engine("tiny", model, {
    ...{ maxRunning: 2, maxQueue: 2, prefixCache: 2 },
    reload: (lost) => {
      reloads++;
      return lost.reload({ device: second });
    },
    onLog: (line) => line.endsWith("is loaded again") && isWell.resolve(),
  });
  const request: EngineRequest = {
    prompts: [Array.from({ length: 40 }, (_, i) => 3 + (i * 37) % 200)],
    n: 1,
    options: { maxTokens: 60 },
    signal: new AbortController().signal,
    onChunk: () => {},
  };
  const [begun, reading] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const slow = engine.run({ ...request, onChunk: () => (begun.resolve(), reading.promise) });
  await begun.promise;
  first.destroy();
  await assertRejects(() => engine.run(request), DeviceLostError);
  await isWell.promise;
  reading.resolve();
  await assertRejects(() => slow, DeviceLostError);
  assertEquals([reloads, engine.isLost], [1, false]);
  assertEquals((await engine.run(request)).cachedTokens, 0);
  assertEquals((await engine.run(request)).cachedTokens, 39);
  engine.dispose();
  second.destroy();
});
