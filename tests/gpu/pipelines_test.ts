import { assertEquals } from "@std/assert";
import { Gpu } from "../../src/gpu/device.ts";
import { floats, scaleKernel } from "./fixture.ts";

Deno.test("a kernel is compiled once for each set of constants", async () => {
  using gpu = await Gpu.request();
  const kernel = scaleKernel();
  const values = gpu.tensorOf("values", "f32", [1], Float32Array.of(1));
  const recorder = gpu.record();
  for (const FACTOR of [2, 3, 2, 3]) recorder.dispatch(kernel, { values }, { n: 1, addend: 0 }, { FACTOR });
  assertEquals(gpu.pipelines.size, 2);
  gpu.submit([recorder]);
  assertEquals(await floats(gpu, values), [36]);
});

Deno.test("bind groups are made once for the same tensors, and go with them", async () => {
  using gpu = await Gpu.request();
  const kernel = scaleKernel();
  const [one, two] = ["one", "two"].map((name) => gpu.tensorOf(name, "f32", [1], Float32Array.of(1)));
  const recorder = gpu.record();
  for (const values of [one!, two!, one!]) {
    recorder.dispatch(kernel, { values }, { n: 1, addend: 0 }, { FACTOR: 2 });
  }
  const { bindGroups } = gpu.pipelines.get(kernel, { FACTOR: 2 });
  assertEquals(bindGroups.size, 2);
  gpu.submit([recorder]);
  assertEquals(await floats(gpu, one!), [4]);
  one!.dispose();
  assertEquals([...bindGroups.keys()], [String(two!.id)]);
});
