import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CapacityError, DeviceLostError, ShaderError } from "../../src/errors.ts";
import { Gpu } from "../../src/gpu/device.ts";
import { floats, scaleKernel } from "./fixture.ts";

Deno.test("a recording runs its dispatches and copies in order, as often as it is submitted", async () => {
  using gpu = await Gpu.request();
  const kernel = scaleKernel();
  const values = gpu.tensorOf("values", "f32", [4], Float32Array.of(1, 2, 3, 4));
  const copy = gpu.createTensor("copy", "f32", [4]);
  const recorder = gpu.record();
  recorder.dispatch(kernel, { values }, { n: 4, addend: 1 }, { FACTOR: 2 });
  recorder.copy(values, 4, copy, 0, 8);
  recorder.dispatch(kernel, { values }, { n: 2, addend: 100 }, { FACTOR: 1 });
  const read = gpu.submit([recorder], [{ tensor: values }, { tensor: copy, byteOffset: 4, byteLength: 8 }]);
  const twice = gpu.submit([recorder, recorder], [{ tensor: values, byteLength: 4 }]);
  assertEquals([...new Float32Array((await read.fetch()).buffer)], [103, 105, 7, 9, 7, 0]);
  assertEquals([...new Float32Array((await twice.fetch()).buffer)], [((103 * 2 + 1 + 100) * 2 + 1) + 100]);
  assertEquals([...new Float32Array((await gpu.read(copy, 4, 4)).buffer)], [31]);
});

Deno.test("recorders with parameters of their own share one submit", async () => {
  using gpu = await Gpu.request();
  const kernel = scaleKernel();
  const values = gpu.createTensor("values", "f32", [1]);
  // More dispatches than a new recorder has room for.
  const recorders = [1, 10].map((addend) => {
    const recorder = gpu.record();
    for (let i = 0; i < 100; i++) {
      recorder.dispatch(kernel, { values }, { n: 1, addend: addend * (i % 3) }, { FACTOR: 1 });
    }
    return recorder;
  });
  gpu.submit([recorders[0]!, recorders[1]!, recorders[0]!]);
  assertEquals(await floats(gpu, values), [99 + 990 + 99]);
});

Deno.test("run() gives the same as submit(), in as many submits as the costs ask for", async () => {
  using gpu = await Gpu.request();
  for (const cost of [1, 1e9]) {
    const values = gpu.createTensor("values", "f32", [1]);
    const recorder = gpu.record();
    for (let i = 0; i < 10; i++) {
      recorder.dispatch(scaleKernel(cost), { values }, { n: 1, addend: i }, { FACTOR: 2 });
    }
    recorder.copy(values, 0, gpu.createTensor("copy", "f32", [1]), 0, 4);
    let submits = 0;
    const submit = gpu.device.queue.submit.bind(gpu.device.queue);
    gpu.device.queue.submit = (buffers) => {
      submits++;
      return submit(buffers);
    };
    await gpu.run(recorder);
    gpu.device.queue.submit = submit;
    assertEquals(await floats(gpu, values), [Array.from({ length: 10 }, (_, i) => i).reduce((x, i) => x * 2 + i, 0)]);
    assert(cost === 1 ? submits === 1 : submits > 5, `${submits} submits`);
  }
});

Deno.test("run() stops at an abort within one submit", async () => {
  using gpu = await Gpu.request();
  const values = gpu.createTensor("values", "f32", [1]);
  const kernel = scaleKernel(1e12);
  const recorder = gpu.record();
  for (let i = 0; i < 50; i++) recorder.dispatch(kernel, { values }, { n: 1, addend: 1 }, { FACTOR: 1 });
  const aborted = AbortSignal.abort(new RangeError("Enough"));
  await assertRejects(() => gpu.run(recorder, aborted), RangeError, "Enough");
  assertEquals(await floats(gpu, values), [0]);
  const controller = new AbortController();
  setTimeout(() => controller.abort(new RangeError("Enough")), 5);
  await assertRejects(() => gpu.run(recorder, controller.signal), RangeError, "Enough");
  const [done] = await floats(gpu, values);
  assert(done! > 0 && done! < 50, `${done} of 50 dispatches ran`);
});

Deno.test("a tensor larger than a binding is refused with both numbers, before anything is allocated", async () => {
  using gpu = await Gpu.request();
  const length = gpu.maxTensorBytes / 4 + 1;
  const error = assertThrows(() => gpu.createTensor("the cache", "f32", [length]), CapacityError, "the cache");
  assertEquals([error.requested, error.available, error.unit], [length * 4, gpu.maxTensorBytes, "bytes"]);
  assertEquals(gpu.allocatedBytes, 0);
});

Deno.test("a buffer that the device cannot make is told of by settle()", async () => {
  using gpu = await Gpu.request();
  const create = gpu.device.createBuffer.bind(gpu.device);
  // A size that is no multiple of 4 with a usage that does not exist: the device refuses it after the call.
  gpu.device.createBuffer = (descriptor) => create({ ...descriptor, usage: 0x01 | 0x80 });
  gpu.createTensor("the cache", "f32", [16]);
  gpu.device.createBuffer = create;
  await assertRejects(() => gpu.settle(), CapacityError, "Cannot allocate the cache (64 bytes");
  await gpu.settle();
});

Deno.test("allocatedBytes counts live tensors, and a tensor may be disposed twice", async () => {
  using gpu = await Gpu.request();
  const one = gpu.createTensor("one", "f16", [3]);
  {
    using two = gpu.createTensor("two", "u32", [2, 5]);
    assertEquals([one.byteLength, two.byteLength, gpu.allocatedBytes], [8, 40, 48]);
  }
  assertEquals(gpu.allocatedBytes, 8);
  one.dispose();
  one.dispose();
  assertEquals(gpu.allocatedBytes, 0);
});

Deno.test("a kernel that does not compile is told of by name, with its line", async () => {
  using gpu = await Gpu.request();
  const values = gpu.createTensor("values", "f32", [1]);
  const good = scaleKernel();
  const bad = { ...good, source: [good.source[0]!.replace("params.addend;", "params.subtrahend;")] };
  gpu.record().dispatch(bad, { values }, { n: 1, addend: 0 }, { FACTOR: 1 });
  const error = await assertRejects(() => gpu.settle(), ShaderError, 'Cannot compile kernel scale at "values[id.x] = ');
  assertEquals(error.kernel, "scale");
  assert(error.message.includes("subtrahend"));
});

Deno.test("a failure is told to all who wait for it at once: each may be the one that it is of", async () => {
  using gpu = await Gpu.request();
  const outcomes = async () => (await Promise.allSettled([gpu.settle(), gpu.settle()])).map(({ status }) => status);
  const create = gpu.device.createBuffer.bind(gpu.device);
  gpu.device.createBuffer = (descriptor) => create({ ...descriptor, usage: 0x01 | 0x80 });
  gpu.createTensor("the cache", "f32", [16]);
  gpu.device.createBuffer = create;
  assertEquals(await outcomes(), ["rejected", "rejected"]);
  assertEquals(await outcomes(), ["fulfilled", "fulfilled"]);
});

Deno.test("an error that the device reports late is raised by the next call, and by those after it", async () => {
  using gpu = await Gpu.request();
  const values = gpu.createTensor("values", "f32", [1]);
  gpu.check();
  gpu.upload(values, new Float32Array(2));
  await new Promise((resolve) => setTimeout(resolve, 20));
  assertThrows(() => gpu.check(), DeviceLostError, "The GPU reported an error: ");
  assertThrows(() => gpu.submit([]), DeviceLostError);
  await assertRejects(() => gpu.run(gpu.record()), DeviceLostError);
});

Deno.test("the loss of the device is raised by the next call", async () => {
  const gpu = await Gpu.request();
  const values = gpu.createTensor("values", "f32", [1]);
  gpu.device.destroy();
  await assertRejects(() => gpu.read(values), DeviceLostError, "The GPU device was lost: it was destroyed");
  assertThrows(() => gpu.check(), DeviceLostError);
  assertThrows(() => gpu.submit([]), DeviceLostError);
  gpu.dispose();
});

Deno.test("a caller's device is used and stays the caller's", async () => {
  const adapter = await navigator.gpu.requestAdapter();
  const device = await adapter!.requestDevice();
  {
    using gpu = await Gpu.from(device);
    assertEquals(await floats(gpu, gpu.tensorOf("values", "f32", [1], Float32Array.of(7))), [7]);
    assert(!gpu.features.subgroups && !gpu.features.timestamps);
  }
  using again = await Gpu.from(device);
  assertEquals(await floats(again, again.tensorOf("values", "f32", [1], Float32Array.of(8))), [8]);
  device.destroy();
});

Deno.test("a submit refuses more dispatches than it has room for", async () => {
  using gpu = await Gpu.request();
  const values = gpu.createTensor("values", "f32", [1]);
  const kernel = scaleKernel();
  const recorder = gpu.record();
  for (let i = 0; i < 4097; i++) recorder.dispatch(kernel, { values }, { n: 1, addend: 1 }, { FACTOR: 1 });
  assertThrows(() => gpu.submit([recorder]), RangeError, "Cannot submit more than 4096 dispatches at once");
  await gpu.run(recorder);
  assertEquals(await floats(gpu, values), [4097]);
});
