import { headNorm } from "../../src/kernels/head_norm.ts";
import { headNorm as twin } from "../reference/head_norm.ts";
import { assertWithinReference, download, gpu, randomFloats, upload } from "./fixture.ts";

const shapes = [
  [1, 9, 3, 64],
  [97, 4, 4, 80],
  [1025, 2, 1, 96],
  [33, 16, 8, 128],
  [2, 1, 1, 4],
] as const;

for (const [nTokens, nHeads, nKvHeads, headDim] of shapes) {
  Deno.test(`headNorm() agrees with its twin on ${nTokens} tokens of ${nHeads}/${nKvHeads} x ${headDim}`, async () => {
    const values = randomFloats(nTokens * (nHeads + 2 * nKvHeads) * headDim, 1, 3);
    const gains = randomFloats(2 * headDim, 2);
    const shape = { nHeads, nKvHeads, headDim, eps: 1e-6 };
    using qkv = upload("qkv", values, [nTokens, nHeads + 2 * nKvHeads, headDim]);
    using weight = upload("weight", gains, [2, headDim]);
    const recorder = gpu.record();
    headNorm(recorder, { qkv, weight, nTokens, ...shape });
    await gpu.run(recorder);
    const exact = twin(Float64Array.from(values), Float64Array.from(gains), shape);
    // Three rounded products and a square root: a few units in the last place.
    assertWithinReference(await download(qkv), exact, Float32Array.from(exact), 2e-6);
  });
}
