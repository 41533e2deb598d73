import { assertEquals, assertRejects } from "@std/assert";
import { ShaderError } from "../../src/errors.ts";
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

Deno.test("kernels compiled ahead run like others, whether or not their compilation was waited for", async () => {
  for (const waits of [true, false]) {
    using gpu = await Gpu.request();
    const values = gpu.tensorOf("values", "f32", [1], Float32Array.of(1));
    const recorder = gpu.record();
    gpu.pipelines.ahead(() => {
      for (const FACTOR of [2, 3]) recorder.dispatch(scaleKernel(), { values }, { n: 1, addend: 0 }, { FACTOR });
    });
    if (waits) await gpu.settle();
    gpu.submit([recorder]);
    assertEquals(await floats(gpu, values), [6]);
  }
});

Deno.test("a kernel compiled ahead that does not compile is named with its line", async () => {
  using gpu = await Gpu.request();
  const values = gpu.tensorOf("values", "f32", [1], Float32Array.of(1));
  const wrong = { ...scaleKernel(), source: ["const FACTOR_ = FACTOR;\nfn main() { let x: u32 = 1.5; }"] };
  gpu.pipelines.ahead(() => gpu.record().dispatch(wrong, { values }, { n: 1, addend: 0 }, { FACTOR: 2 }));
  await assertRejects(() => gpu.settle(), ShaderError, 'at "fn main() { let x: u32 = 1.5; }"');
});
