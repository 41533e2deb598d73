import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { loadModel } from "../../mod.ts";
import { chatFolder } from "../chat/chat_folder.ts";
import { MODEL, serveModel } from "./served_model.ts";

const PROMPT = "The man was riding just below the summit";

async function requestDevice(): Promise<GPUDevice> {
  const adapter = await navigator.gpu.requestAdapter();
  return await adapter!.requestDevice();
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
