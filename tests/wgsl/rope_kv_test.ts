import { assert, assertEquals } from "@std/assert";
import { hostRopeTable } from "../../src/kernels/rope_table.ts";
import { ropeKv } from "../../src/kernels/rope_kv.ts";
import { ropeFrequencies } from "../../src/model/rope.ts";
import { ropeKv as twin } from "../reference/rope_kv.ts";
import { assertWithinReference, download, gpu, maxError, randomFloats, upload } from "./fixture.ts";

// nTokens, nHeads, nKvHeads, headDim, rotaryDim, position
const shapes = [
  [1, 9, 3, 64, 64, 1000],
  [97, 4, 4, 80, 80, 0],
  [1025, 2, 1, 96, 96, 3],
  [33, 8, 2, 128, 128, 900],
  [5, 3, 1, 100, 100, 17],
  [7, 2, 2, 64, 16, 250],
] as const;

for (const cacheFormat of ["f32", "f16"] as const) {
  for (const [nTokens, nHeads, nKvHeads, headDim, rotaryDim, position] of shapes) {
    const title =
      `${nTokens} tokens of ${nHeads}/${nKvHeads} x ${headDim} (${rotaryDim}) at ${position}, ${cacheFormat}`;
    Deno.test(`ropeKv() agrees with its twin on ${title}`, async () => {
      const shape = { nTokens, nHeads, nKvHeads, headDim, rotaryDim, position };
      const capacity = position + nTokens + 2;
      const values = randomFloats(nTokens * (nHeads + 2 * nKvHeads) * headDim, nTokens, 2);
      const frequencies = ropeFrequencies({ type: "none" }, { rotaryDim, ropeTheta: 1e4 });
      const turns = hostRopeTable(frequencies, { firstPosition: 0, nPositions: capacity });
      using qkv = upload("qkv", values, [nTokens, nHeads + 2 * nKvHeads, headDim]);
      using table = upload("table", turns, [capacity, rotaryDim / 2, 2]);
      using state = gpu.tensorOf("state", "u32", [8], new Uint32Array([position, 0, 0, 0, 0, 0, 0, 0]));
      using q = gpu.createTensor("q", "f32", [nTokens, nHeads, headDim]);
      using k = gpu.createTensor("k", cacheFormat, [nKvHeads, capacity, headDim]);
      using v = gpu.createTensor("v", cacheFormat, [nKvHeads, capacity, headDim]);
      const recorder = gpu.record();
      ropeKv(recorder, { qkv, table, state, q, k, v, cacheFormat, capacity, ...shape });
      await gpu.run(recorder);

      const exact = twin(values, turns, shape);
      // Two products of at most 2 and a sum: a few units in the last place of 4.
      assertWithinReference(await download(q), exact.q, Float32Array.from(exact.q), 1e-6);
      for (const [name, tensor, expected] of [["keys", k, exact.k], ["values", v, exact.v]] as const) {
        const bytes = await gpu.read(tensor);
        const stored = cacheFormat === "f32" ? new Float32Array(bytes.buffer) : new Float16Array(bytes.buffer);
        for (let head = 0; head < nKvHeads; head++) {
          const rows = stored.subarray(head * capacity * headDim, (head + 1) * capacity * headDim);
          const written = rows.subarray(position * headDim, (position + nTokens) * headDim);
          const own = expected.subarray(head * nTokens * headDim, (head + 1) * nTokens * headDim);
          // An f16 below 4 is off by at most 2^-10, whichever way the adapter rounds.
          assert(maxError(written, own) <= (cacheFormat === "f32" ? 1e-6 : 2 ** -9), `${name} of head ${head}`);
          assertEquals(maxError(rows.subarray(0, position * headDim), new Float64Array(position * headDim)), 0);
          assertEquals(maxError(rows.subarray((position + nTokens) * headDim), new Float64Array(2 * headDim)), 0);
        }
      }
    });
  }
}

Deno.test("ropeKv() keeps the norm of every pair and drops tokens past the capacity", async () => {
  const [nTokens, capacity, headDim] = [8, 6, 16];
  const values = randomFloats(nTokens * 3 * headDim, 5);
  const turns = hostRopeTable(ropeFrequencies({ type: "none" }, { rotaryDim: headDim, ropeTheta: 1e4 }), {
    firstPosition: 0,
    nPositions: nTokens,
  });
  using qkv = upload("qkv", values, [nTokens, 3, headDim]);
  using table = upload("table", turns, [nTokens, headDim / 2, 2]);
  using state = gpu.createTensor("state", "u32", [8]);
  using q = gpu.createTensor("q", "f32", [nTokens, 1, headDim]);
  using k = gpu.createTensor("k", "f32", [1, capacity, headDim]);
  using v = gpu.createTensor("v", "f32", [1, capacity, headDim]);
  const recorder = gpu.record();
  ropeKv(recorder, {
    ...{ qkv, table, state, q, k, v, nTokens, capacity, headDim },
    ...{ cacheFormat: "f32", nHeads: 1, nKvHeads: 1 },
  });
  await gpu.run(recorder);
  const rotated = await download(k);
  for (let token = 0; token < capacity; token++) {
    for (let j = 0; j < headDim / 2; j++) {
      const before = Math.hypot(...[0, 8].map((half) => values[(token * 3 + 1) * headDim + j + half]!));
      const after = Math.hypot(...[0, 8].map((half) => rotated[token * headDim + j + half]!));
      assert(Math.abs(before - after) < 1e-6, `Pair ${j} of token ${token}`);
    }
  }
});
