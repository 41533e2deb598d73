import { assert, assertEquals, assertRejects } from "@std/assert";
import { DeviceLostError, loadModel } from "../../mod.ts";

const folder = new URL("../testdata/pg-nano-yarn-2k", import.meta.url).pathname;

async function requestDevice(): Promise<GPUDevice> {
  const adapter = await navigator.gpu.requestAdapter();
  return await adapter!.requestDevice();
}

Deno.test("loadModel() runs on a caller's device with default limits and no features, and leaves it alive", async () => {
  const device = await requestDevice();
  const own = await loadModel(folder, { contextLength: 256 });
  const model = await loadModel(folder, { contextLength: 256, device });
  const options = { maxTokens: 8 };
  const expected = (await own.generate("The man was riding", options).result).text;
  assertEquals((await model.generate("The man was riding", options).result).text, expected);
  own.dispose();
  model.dispose();
  const buffer = device.createBuffer({ size: 4, usage: 1 });
  assertEquals(buffer.size, 4);
  device.destroy();
});

Deno.test("the loss of the device ends a generation with a typed error, and later calls too", async () => {
  const device = await requestDevice();
  using model = await loadModel(folder, { contextLength: 256, device });
  await assertRejects(
    async () => {
      for await (const _ of model.generate("The man was riding", { maxTokens: 200 })) device.destroy();
    },
    DeviceLostError,
    "was destroyed",
  );
  await assertRejects(() => model.score("The man was riding"), DeviceLostError, "was destroyed");
});

Deno.test("an abort during the load throws its reason and frees what was allocated", async () => {
  const abort = new AbortController();
  let seen = 0;
  await assertRejects(
    () =>
      loadModel(folder, {
        signal: abort.signal,
        onProgress: ({ loaded, total }) => {
          seen++;
          assert(loaded <= total);
          abort.abort(new Error("not this one"));
        },
      }),
    Error,
    "not this one",
  );
  assert(seen > 0);
});
