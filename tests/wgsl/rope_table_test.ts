import { assert, assertEquals, assertRejects } from "@std/assert";
import { Gpu } from "../../src/gpu/device.ts";
import { checkedRopeTable, packFrequencies, ropeTable, uploadRopeTable } from "../../src/kernels/rope_table.ts";
import { ropeFrequencies, type RopeScaling } from "../../src/model/rope.ts";
import { ropeTable as twin } from "../reference/rope_table.ts";
import { download, gpu, maxError } from "./fixture.ts";

const yarn: RopeScaling = {
  type: "yarn",
  factor: 32,
  originalMaxPositionEmbeddings: 4096,
  betaFast: 32,
  betaSlow: 1,
  truncate: true,
};

async function kernelError(
  scaling: RopeScaling,
  { rotaryDim, ropeTheta, starts, length }: {
    rotaryDim: number;
    ropeTheta: number;
    starts: number[];
    length: number;
  },
): Promise<number> {
  const nPairs = rotaryDim / 2;
  const frequencies = ropeFrequencies(scaling, { rotaryDim, ropeTheta });
  using packed = gpu.tensorOf("frequencies", "f32", [nPairs, 4], packFrequencies(frequencies));
  using table = gpu.createTensor("table", "f32", [length, nPairs, 2]);
  const { attentionFactor, invFreq } = frequencies;
  let worst = 0;
  for (const firstPosition of starts) {
    const recorder = gpu.record();
    ropeTable(recorder, {
      ...{ frequencies: packed, table, firstPosition, firstRow: 0 },
      ...{ nPositions: length, nPairs, attentionFactor },
    });
    await gpu.run(recorder);
    const exact = twin(invFreq, attentionFactor, firstPosition, length);
    worst = Math.max(worst, maxError(await download(table), exact));
  }
  return worst;
}

Deno.test("ropeTable() is within 1e-6 of its twin at every position up to 131071", async () => {
  const starts = Array.from({ length: 8 }, (_, block) => block * 16384);
  const error = await kernelError(yarn, { rotaryDim: 64, ropeTheta: 1e4, starts, length: 16384 });
  assert(error <= 1e-6, `Error is ${error}`);
});

for (const rotaryDim of [64, 80, 96, 128]) {
  for (const ropeTheta of [1e4, 5e5, 1e6]) {
    for (const scaling of [yarn, { type: "none" }] as const) {
      Deno.test(`ropeTable() is within 1e-6 of its twin: ${rotaryDim}, base ${ropeTheta}, ${scaling.type}`, async () => {
        const starts = [0, 4095, 40000, 65500, 99999, 130943];
        const error = await kernelError(scaling, { rotaryDim, ropeTheta, starts, length: 129 });
        assert(error <= 1e-6, `Error is ${error}`);
      });
    }
  }
}

Deno.test("checkedRopeTable() trusts the kernel here, extends a table, and refuses one that is too short", async () => {
  const frequencies = ropeFrequencies(yarn, { rotaryDim: 96, ropeTheta: 1e4 });
  using table = gpu.createTensor("table", "f32", [300, 48, 2]);
  assertEquals(await checkedRopeTable(gpu, { frequencies, table, firstPosition: 0, nPositions: 200 }), "rope_table");
  await checkedRopeTable(gpu, { frequencies, table, firstPosition: 200, nPositions: 100 });
  const exact = twin(frequencies.invFreq, frequencies.attentionFactor, 0, 300);
  assert(maxError(await download(table), exact) <= 1e-6);
  await assertRejects(
    () => checkedRopeTable(gpu, { frequencies, table, firstPosition: 200, nPositions: 101 }),
    RangeError,
    "up to position 301: it has room for 300",
  );
});

Deno.test("uploadRopeTable() puts the host's rows where the kernel would", async () => {
  const frequencies = ropeFrequencies(yarn, { rotaryDim: 128, ropeTheta: 1e4 });
  const nPositions = 9000; // more than one upload
  using table = gpu.createTensor("table", "f32", [nPositions + 10, 64, 2]);
  uploadRopeTable(gpu, { frequencies, table, firstPosition: 10, nPositions });
  const rows = await download(table);
  assertEquals(maxError(rows.subarray(0, 10 * 128), new Float64Array(10 * 128)), 0);
  const exact = twin(frequencies.invFreq, frequencies.attentionFactor, 10, nPositions);
  assert(maxError(rows.subarray(10 * 128), exact) <= 2e-7);
});

Deno.test("checkedRopeTable() uploads the host's rows where the kernel is not good enough", async () => {
  using other = await Gpu.request();
  const plain = ropeFrequencies({ type: "none" }, { rotaryDim: 64, ropeTheta: 1e4 });
  // The twin takes these frequencies as they are and the kernel blends its own, so that the two disagree.
  const frequencies = { ...plain, invFreq: plain.invFreq.map((frequency) => frequency * 1.00001) };
  using table = other.createTensor("table", "f32", [100, 32, 2]);
  assertEquals(await checkedRopeTable(other, { frequencies, table, firstPosition: 0, nPositions: 100 }), "host");
  const rows = new Float32Array((await other.read(table)).buffer);
  assert(maxError(rows, twin(frequencies.invFreq, 1, 0, 100)) <= 1e-7);
});
