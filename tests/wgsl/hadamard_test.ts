import { assertEquals } from "@std/assert";
import { hadamard } from "../../src/kernels/hadamard.ts";
import { hadamard as twin } from "../reference/hadamard.ts";
import { assertWithinReference, download, gpu, maxError, randomFloats, upload } from "./fixture.ts";

async function run(values: Float32Array<ArrayBuffer>, nTokens: number, nHeads: number, headDim: number) {
  using x = upload("x", values, [nTokens, nHeads, headDim]);
  const recorder = gpu.record();
  hadamard(recorder, { x, nTokens, nHeads, headDim });
  await gpu.run(recorder);
  return await download(x);
}

for (
  const [nTokens, nHeads, headDim] of [[1, 9, 64], [97, 3, 80], [1025, 1, 96], [2, 32, 128], [3, 1, 16], [
    2,
    2,
    256,
  ]] as const
) {
  Deno.test(`hadamard() agrees with its twin on ${nTokens} x ${nHeads} x ${headDim}`, async () => {
    const values = randomFloats(nTokens * nHeads * headDim, headDim, 3);
    const actual = await run(values, nTokens, nHeads, headDim);
    assertWithinReference(actual, twin(values, headDim), twin(values, headDim, Math.fround));
  });
}

Deno.test("hadamard() changes rows from firstRow on and no others", async () => {
  const values = randomFloats(7 * 3 * 64, 5);
  using x = upload("x", values, [7, 3, 64]);
  const recorder = gpu.record();
  hadamard(recorder, { x, nTokens: 2, firstRow: 4, nHeads: 3, headDim: 64 });
  await gpu.run(recorder);
  const expected = values.slice();
  expected.set(await run(values.slice(4 * 192, 6 * 192), 2, 3, 64), 4 * 192);
  assertEquals(await download(x), expected);
});

Deno.test("hadamard() undoes itself and spreads one element over its block evenly", async () => {
  const values = randomFloats(5 * 96, 3);
  const back = await run((await run(values, 5, 1, 96)).slice(), 5, 1, 96);
  assertEquals(maxError(back, values) < 1e-6, true);
  const one = new Float32Array(80);
  one[37] = 4;
  const spread = await run(one, 1, 1, 80);
  // 80 has blocks of 16; element 37 is in the third.
  assertEquals([...spread].map(Math.abs), Array.from({ length: 80 }, (_, i) => i >= 32 && i < 48 ? 1 : 0));
});
