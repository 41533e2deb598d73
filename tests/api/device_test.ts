import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { DeviceLostError, loadModel } from "../../mod.ts";

const folder = new URL("../testdata/pg-nano-yarn-2k", import.meta.url).pathname;

async function requestDevice(): Promise<GPUDevice> {
  const adapter = await navigator.gpu.requestAdapter();
  const device = await adapter!.requestDevice();
  // Deno asks the adapter on first use, and panics where that is garbage by then.
  void device.adapterInfo;
  return device;
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

Deno.test("Model.reload() is not ended by the signal of the first load, and tells its followers nothing", async () => {
  const [first, second] = [await requestDevice(), await requestDevice()];
  const abort = new AbortController();
  let seen = 0;
  const options = { contextLength: 256, device: first, signal: abort.signal, onProgress: () => seen++ };
  using model = await loadModel(folder, options);
  const [expected, seenFirst] = [(await model.generate("The man", { maxTokens: 4 }).result).text, seen];
  abort.abort();
  first.destroy();
  await model.reload({ device: second });
  assertEquals((await model.generate("The man", { maxTokens: 4 }).result).text, expected);
  assertEquals(seen, seenFirst);
  second.destroy();
});

Deno.test("Model.dispose() ends a reload, which no RoPE scaling may be changed in", async () => {
  const model = await loadModel(folder, { contextLength: 256 });
  let left = 0;
  const reloading = model.reload({
    onProgress: ({ loaded, total }) => {
      left = total - loaded;
      model.dispose();
    },
  });
  assertThrows(() => model.scaleRope("none"), TypeError, "while the model is being reloaded");
  await assertRejects(() => reloading, TypeError, "The model was disposed");
  assert(left > 0);
});
