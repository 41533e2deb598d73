import { assert, assertEquals, assertRejects } from "@std/assert";
import { Gpu } from "../../src/gpu/device.ts";
import { timeDispatches } from "../../src/gpu/timestamps.ts";
import { floats, scaleKernel } from "./fixture.ts";

Deno.test("timeDispatches() runs a recording and gives a time for each dispatch, or says that it cannot", async () => {
  using gpu = await Gpu.request();
  const values = gpu.createTensor("values", "f32", [1 << 16]);
  const copy = gpu.createTensor("copy", "f32", [1]);
  const recorder = gpu.record();
  for (const n of [1, 1 << 16]) {
    recorder.dispatch(scaleKernel(), { values }, { n, addend: 1 }, { FACTOR: 1 });
    recorder.copy(values, 0, copy, 0, 4);
  }
  if (!gpu.features.timestamps) {
    await assertRejects(() => timeDispatches(gpu, recorder), RangeError, "no timestamp queries");
    return;
  }
  const times = await timeDispatches(gpu, recorder);
  assertEquals(times.map(({ kernel }) => kernel), ["scale", "scale"]);
  assert(times.every(({ ms }) => ms >= 0 && ms < 1000), JSON.stringify(times));
  assert((await floats(gpu, values))[0]! >= 2);
});
