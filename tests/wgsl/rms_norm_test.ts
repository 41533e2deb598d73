import { assertEquals } from "@std/assert";
import { rmsNorm } from "../../src/kernels/rms_norm.ts";
import { rmsNorm as twin } from "../reference/rms_norm.ts";
import { assertWithinReference, download, gpu, randomFloats, upload } from "./fixture.ts";

for (const [nRows, dim] of [[1, 4], [1, 576], [97, 64], [3, 4096], [1025, 260]] as const) {
  Deno.test(`rmsNorm() agrees with its twin on ${nRows} rows of ${dim}`, async () => {
    const values = randomFloats(nRows * dim, 1, 3);
    const gains = randomFloats(dim, 2);
    using x = upload("x", values, [nRows, dim]);
    using weight = upload("weight", gains, [dim]);
    using out = gpu.createTensor("out", "f32", [nRows, dim]);
    const recorder = gpu.record();
    rmsNorm(recorder, { x, weight, out, nRows, dim, eps: 1e-5 });
    await gpu.run(recorder);
    const exact = twin(Float64Array.from(values), Float64Array.from(gains), dim, 1e-5);
    const naive = naiveRmsNorm(values, gains, dim, 1e-5);
    assertWithinReference(await download(out), exact, naive);
  });
}

Deno.test("rmsNorm() starts at firstRow", async () => {
  const values = randomFloats(5 * 8, 3);
  using x = upload("x", values, [5, 8]);
  using weight = upload("weight", new Float32Array(8).fill(1), [8]);
  using all = gpu.createTensor("all", "f32", [5, 8]);
  using some = gpu.createTensor("some", "f32", [2, 8]);
  const recorder = gpu.record();
  rmsNorm(recorder, { x, weight, out: all, nRows: 5, dim: 8, eps: 1e-5 });
  rmsNorm(recorder, { x, weight, out: some, nRows: 2, dim: 8, eps: 1e-5, firstRow: 3 });
  await gpu.run(recorder);
  assertEquals(await download(some), (await download(all)).slice(24));
});

function naiveRmsNorm(x: Float32Array, weight: Float32Array, dim: number, eps: number): Float32Array {
  const out = new Float32Array(x.length);
  for (let row = 0; row < x.length; row += dim) {
    let sum = 0;
    for (let i = 0; i < dim; i++) sum = Math.fround(sum + Math.fround(x[row + i]! * x[row + i]!));
    const scale = Math.fround(1 / Math.fround(Math.sqrt(Math.fround(Math.fround(sum / dim) + eps))));
    for (let i = 0; i < dim; i++) out[row + i] = Math.fround(x[row + i]! * scale) * weight[i]!;
  }
  return out;
}
