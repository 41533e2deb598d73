import { assertEquals, assertThrows } from "@std/assert";
import { Gpu } from "../../src/gpu/device.ts";
import { PARAMS_STRIDE } from "../../src/gpu/pipelines.ts";
import { scaleKernel } from "./fixture.ts";

Deno.test("a recorder lists steps with their grids, costs and packed parameters", async () => {
  using gpu = await Gpu.request();
  const values = gpu.createTensor("values", "f32", [1000]);
  const recorder = gpu.record();
  recorder.dispatch(scaleKernel(5), { values }, { n: 1000, addend: 0.5 }, { FACTOR: 3 });
  recorder.copy(values, 0, gpu.createTensor("copy", "f32", [10]), 0, 40);
  recorder.dispatch(scaleKernel(7), { values }, { n: 1, addend: -1 }, { FACTOR: 3 });
  assertEquals(recorder.cost, 5 + 10 + 7);
  assertEquals(recorder.steps.map((step) => "kernel" in step ? step.grid : "copy"), [[16, 1, 1], "copy", [1, 1, 1]]);
  const params = new DataView(recorder.params.buffer);
  assertEquals(recorder.params.byteLength, 2 * PARAMS_STRIDE);
  assertEquals([params.getUint32(0, true), params.getFloat32(4, true)], [1000, 0.5]);
  assertEquals([params.getUint32(PARAMS_STRIDE, true), params.getFloat32(PARAMS_STRIDE + 4, true)], [1, -1]);
});

Deno.test("a recorder leaves out dispatches without work and refuses grids that are too large", async () => {
  using gpu = await Gpu.request();
  const values = gpu.createTensor("values", "f32", [1]);
  const recorder = gpu.record();
  recorder.dispatch(scaleKernel(), { values }, { n: 0, addend: 1 }, { FACTOR: 1 });
  assertEquals(recorder.steps.length, 0);
  const limit = gpu.limits.maxComputeWorkgroupsPerDimension;
  assertThrows(
    () => recorder.dispatch(scaleKernel(), { values }, { n: 64 * limit + 1, addend: 1 }, { FACTOR: 1 }),
    RangeError,
    `Cannot dispatch scale with ${limit + 1} x 1 x 1 workgroups: the device allows ${limit}`,
  );
});

Deno.test("record() carries the adapter's traits, which a test can replace", async () => {
  using gpu = await Gpu.request();
  const { traits } = gpu.record();
  assertEquals([traits.isSoftware, traits.subgroups], [gpu.isSoftware, gpu.features.subgroups]);
  assertEquals(gpu.record({ isSoftware: !gpu.isSoftware }).traits, { ...traits, isSoftware: !gpu.isSoftware });
});
