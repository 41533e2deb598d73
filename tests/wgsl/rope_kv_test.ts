import { assert, assertEquals } from "@std/assert";
import { hostRopeTable } from "../../src/kernels/rope_table.ts";
import { ropeKv } from "../../src/kernels/rope_kv.ts";
import { ropeFrequencies } from "../../src/model/rope.ts";
import { hadamard } from "../reference/hadamard.ts";
import { unpackGroups } from "../reference/kv_groups.ts";
import { ropeKv as twin } from "../reference/rope_kv.ts";
import { KV_FORMATS, kvRowBytes, kvTensorShape } from "../../src/kernels/kv_formats.ts";
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

const groupedShapes = [
  [1, 9, 3, 64, 64, 1000],
  [97, 4, 4, 80, 80, 0],
  [1025, 2, 1, 96, 96, 3],
  [33, 8, 2, 128, 128, 900],
  [7, 2, 2, 64, 16, 250],
  [4, 2, 1, 64, 0, 9],
  [3, 2, 2, 16, 12, 5],
  [5, 3, 1, 256, 256, 17],
] as const;

for (const cacheFormat of ["q8", "q4"] as const) {
  for (const [nTokens, nHeads, nKvHeads, headDim, rotaryDim, position] of groupedShapes) {
    const title =
      `${nTokens} tokens of ${nHeads}/${nKvHeads} x ${headDim} (${rotaryDim}) at ${position}, ${cacheFormat}`;
    Deno.test(`ropeKv() stores the nearest codes of its twin's rows on ${title}`, async () => {
      const shape = { nTokens, nHeads, nKvHeads, headDim, rotaryDim, position };
      const capacity = position + nTokens + 2;
      const values = randomFloats(nTokens * (nHeads + 2 * nKvHeads) * headDim, nTokens, 2);
      // One element far out, a group of zeros, and one whose scale no f16 holds.
      const kv = nHeads * headDim;
      values[kv + 5] = -300;
      values.fill(0, kv + nKvHeads * headDim, kv + nKvHeads * headDim + Math.min(32, headDim));
      if (nKvHeads > 1) values[kv + (nKvHeads + 1) * headDim + 3] = 1e6;
      // A layer that rotates nothing is given the table all the same.
      const tableDim = rotaryDim === 0 ? headDim : rotaryDim;
      const frequencies = ropeFrequencies({ type: "none" }, { rotaryDim: tableDim, ropeTheta: 1e4 });
      const turns = hostRopeTable(frequencies, { firstPosition: 0, nPositions: capacity });
      using qkv = upload("qkv", values, [nTokens, nHeads + 2 * nKvHeads, headDim]);
      using table = upload("table", turns, [capacity, tableDim / 2, 2]);
      using state = gpu.tensorOf("state", "u32", [8], new Uint32Array([position, 0, 0, 0, 0, 0, 0, 0]));
      using q = gpu.createTensor("q", "f32", [nTokens, nHeads, headDim]);
      using k = gpu.createTensor("k", ...kvTensorShape(cacheFormat, { nKvHeads, headDim }, capacity));
      using v = gpu.createTensor("v", ...kvTensorShape(cacheFormat, { nKvHeads, headDim }, capacity));
      const recorder = gpu.record();
      ropeKv(recorder, { qkv, table, state, q, k, v, cacheFormat, capacity, ...shape });
      await gpu.run(recorder);

      const turned = (rows: Float64Array) => cacheFormat === "q4" ? hadamard(rows, headDim) : rows;
      const exact = twin(values, turns, shape);
      const queries = turned(exact.q);
      assertWithinReference(await download(q), queries, Float32Array.from(queries), 2e-6);
      for (const [name, tensor, rows] of [["keys", k, turned(exact.k)], ["values", v, turned(exact.v)]] as const) {
        const words = new Uint32Array((await gpu.read(tensor)).buffer);
        const stored = unpackGroups(cacheFormat, words, nKvHeads * capacity, headDim);
        for (let head = 0; head < nKvHeads; head++) {
          for (let slot = 0; slot < capacity; slot++) {
            const token = slot - position;
            for (let i = 0; i < headDim; i++) {
              const at = (head * capacity + slot) * headDim + i;
              const where = `${name} of head ${head}, slot ${slot}, element ${i}`;
              if (token < 0 || token >= nTokens) {
                assertEquals([stored.values[at]! + 0, stored.steps[at]! + 0], [0, 0], where);
                continue;
              }
              const row = (head * nTokens + token) * headDim;
              const group = rows.subarray(row + i - i % 32, row + Math.min(headDim, i - i % 32 + 32));
              const largest = Math.min(65504, group.reduce((a, b) => Math.max(a, Math.abs(b)), 0));
              const step = Math.abs(stored.steps[at]!);
              // In q4 a step is also tried that puts the largest element at 7, 8.5 or 9 steps.
              const steps = (cacheFormat === "q8" ? [127] : [8, 7, 8.5, 9]).map((count) => largest / count);
              const exactStep = steps.find((each) => Math.abs(step - each) <= each * 2 ** -10 + 1e-9);
              assert(exactStep !== undefined || step === 65504 / 8, `${where}: step ${step}`);
              // Codes end at 127 and -127, or at 7 and -8 steps in q4; what is past them is stored as the last.
              const last = cacheFormat === "q8" ? 127 : rows[row + i]! / stored.steps[at]! < 0 ? 8 : 7;
              const nearest = Math.max(-last * step, Math.min(last * step, rows[row + i]!));
              const error = Math.abs(stored.values[at]! - nearest);
              assert(error <= step * 0.501 + 1e-6, `${where}: ${stored.values[at]} for ${rows[row + i]}`);
            }
          }
        }
      }
    });
  }
}

Deno.test("ropeKv() takes the scale of a q4 group that leaves the smallest squared error", async () => {
  const [nTokens, headDim] = [40, 64];
  const shape = { nTokens, nHeads: 1, nKvHeads: 1, headDim, rotaryDim: headDim, position: 0 };
  const values = randomFloats(nTokens * 3 * headDim, 11, 2);
  const turns = hostRopeTable(ropeFrequencies({ type: "none" }, { rotaryDim: headDim, ropeTheta: 1e4 }), {
    firstPosition: 0,
    nPositions: nTokens,
  });
  using qkv = upload("qkv", values, [nTokens, 3, headDim]);
  using table = upload("table", turns, [nTokens, headDim / 2, 2]);
  using state = gpu.createTensor("state", "u32", [8]);
  using q = gpu.createTensor("q", "f32", [nTokens, 1, headDim]);
  using k = gpu.createTensor("k", ...kvTensorShape("q4", shape, nTokens));
  using v = gpu.createTensor("v", ...kvTensorShape("q4", shape, nTokens));
  const recorder = gpu.record();
  ropeKv(recorder, { qkv, table, state, q, k, v, cacheFormat: "q4", capacity: nTokens, ...shape });
  await gpu.run(recorder);
  const rows = hadamard(twin(values, turns, shape).v, headDim);
  const { values: stored } = unpackGroups("q4", new Uint32Array((await gpu.read(v)).buffer), nTokens, headDim);
  const squares = (of: (x: number, i: number) => number, begin: number) =>
    rows.subarray(begin, begin + 32).reduce((sum, x, i) => sum + (x - of(x, begin + i)) ** 2, 0);
  const counts = new Set<number>();
  for (let begin = 0; begin < rows.length; begin += 32) {
    const extreme = rows.subarray(begin, begin + 32).reduce((a, b) => Math.abs(b) > Math.abs(a) ? b : a, 0);
    const errors = [8, 7, 8.5, 9].map((count) => {
      const step = new Float16Array([-8 * extreme / count])[0]! / 8;
      return squares((x) => Math.max(-8, Math.min(7, Math.round(x / step))) * step, begin);
    });
    const least = Math.min(...errors);
    counts.add(errors.indexOf(least));
    assert(squares((_, i) => stored[i]!, begin) <= least * 1.001 + 1e-9, `Group at ${begin}`);
  }
  assertEquals(counts.size, 4);
});

for (const cacheFormat of KV_FORMATS) {
  Deno.test(`ropeKv() writes the row of the position, or in a ring that of its remainder, ${cacheFormat}`, async () => {
    const shape = { nTokens: 100, nHeads: 2, nKvHeads: 2, headDim: 32, rotaryDim: 32, position: 150 };
    const { nTokens, nKvHeads, headDim, position } = shape;
    const [ring, length] = [128, position + nTokens];
    const turns = hostRopeTable(ropeFrequencies({ type: "none" }, { rotaryDim: headDim, ropeTheta: 1e4 }), {
      firstPosition: 0,
      nPositions: length,
    });
    using qkv = upload("qkv", randomFloats(nTokens * 6 * headDim, 5), [nTokens, 6, headDim]);
    using table = upload("table", turns, [length, headDim / 2, 2]);
    using state = gpu.tensorOf("state", "u32", [8], new Uint32Array([position, 0, 0, 0, 0, 0, 0, 0]));
    using q = gpu.createTensor("q", "f32", [nTokens, 2, headDim]);
    const rowsOf = async (capacity: number) => {
      using k = gpu.createTensor("k", ...kvTensorShape(cacheFormat, shape, capacity));
      using v = gpu.createTensor("v", ...kvTensorShape(cacheFormat, shape, capacity));
      const recorder = gpu.record();
      ropeKv(recorder, { qkv, table, state, q, k, v, cacheFormat, capacity, ...shape });
      await gpu.run(recorder);
      const bytes = [await gpu.read(k), await gpu.read(v)];
      let begin = 0;
      return kvRowBytes(cacheFormat, headDim).flatMap((rowBytes) =>
        Array.from({ length: nKvHeads }, () => {
          const at = begin;
          begin += capacity * rowBytes;
          return (position: number) =>
            bytes.map((each) => each.subarray(at + position % capacity * rowBytes).subarray(0, rowBytes));
        })
      );
    };
    const [all, wrapped] = [await rowsOf(length), await rowsOf(ring)];
    all.forEach((rowsOfHead, i) => {
      for (let p = position; p < length; p++) assertEquals(wrapped[i]!(p), rowsOfHead(p), `Position ${p}`);
    });
  });
}

Deno.test("ropeKv() keeps the norm of every pair", async () => {
  const [nTokens, capacity, headDim] = [8, 8, 16];
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

for (const cacheFormat of KV_FORMATS) {
  Deno.test(`ropeKv() takes rows from firstRow on and writes no others, ${cacheFormat}`, async () => {
    const shape = { nTokens: 2, nHeads: 4, nKvHeads: 2, headDim: 64, rotaryDim: 64, position: 5 };
    const [capacity, width] = [12, 8 * 64];
    const values = randomFloats(5 * width, 9, 2);
    const frequencies = ropeFrequencies({ type: "none" }, { rotaryDim: 64, ropeTheta: 1e4 });
    const turns = hostRopeTable(frequencies, { firstPosition: 0, nPositions: capacity });
    using table = upload("table", turns, [capacity, 32, 2]);
    using state = gpu.tensorOf("state", "u32", [8], new Uint32Array([5, 0, 0, 0, 0, 0, 0, 0]));
    const run = async (rows: Float32Array<ArrayBuffer>, firstRow: number) => {
      using qkv = upload("qkv", rows, [firstRow + 2, 8, 64]);
      using q = gpu.createTensor("q", "f32", [firstRow + 2, 4, 64]);
      using k = gpu.createTensor("k", ...kvTensorShape(cacheFormat, shape, capacity));
      using v = gpu.createTensor("v", ...kvTensorShape(cacheFormat, shape, capacity));
      const recorder = gpu.record();
      ropeKv(recorder, { qkv, table, state, q, k, v, cacheFormat, capacity, firstRow, ...shape });
      await gpu.run(recorder);
      return { q: await download(q), k: await gpu.read(k), v: await gpu.read(v) };
    };
    const alone = await run(values.slice(3 * width), 0);
    const among = await run(values, 3);
    assertEquals(among.q.subarray(3 * 4 * 64), alone.q);
    assertEquals(maxError(among.q.subarray(0, 3 * 4 * 64), new Float64Array(3 * 4 * 64)), 0);
    assertEquals([among.k, among.v], [alone.k, alone.v]);
  });
}
