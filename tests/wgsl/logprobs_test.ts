import { assert, assertEquals } from "@std/assert";
import { logprobs } from "../../src/kernels/logprobs.ts";
import { logprobs as twin } from "../reference/logprobs.ts";
import { download, gpu, maxError, random, randomFloats, upload } from "./fixture.ts";
import { normals } from "./selection_fixture.ts";

async function run(logits: Float32Array<ArrayBuffer>, targets: number[], vocabSize: number): Promise<Float32Array> {
  const nRows = targets.length;
  using rows = upload("logits", logits, [nRows, vocabSize]);
  using ids = gpu.tensorOf("targets", "u32", [nRows], Uint32Array.from(targets));
  using out = gpu.createTensor("out", "f32", [nRows]);
  const recorder = gpu.record();
  logprobs(recorder, { logits: rows, targets: ids, out, nRows, vocabSize });
  await gpu.run(recorder);
  return await download(out);
}

for (
  const [nRows, vocabSize] of [[1, 1], [1, 97], [97, 97], [3, 4096], [1025, 260], [5, 49152], [2, 128256]] as const
) {
  Deno.test(`logprobs() is within 1e-5 of its twin on ${nRows} rows of ${vocabSize}`, async () => {
    const logits = normals(nRows * vocabSize, vocabSize, 4);
    const next = random(7);
    const targets = Array.from({ length: nRows }, () => Math.floor((next() + 1) / 2 * vocabSize));
    const error = maxError(await run(logits, targets, vocabSize), twin(logits, targets, vocabSize));
    assert(error <= 1e-5, `Error ${error} is over 1e-5`);
  });
}

Deno.test("logprobs() of equal logits is minus ln of the vocabulary's size", async () => {
  const vocabSize = 128256;
  const out = await run(new Float32Array(vocabSize).fill(3.25), [vocabSize - 1], vocabSize);
  assert(maxError(out, [-Math.log(vocabSize)]) <= 1e-5);
});

Deno.test("logprobs() takes logits at both ends of the f32 range", async () => {
  const logits = new Float32Array(97).fill(-3.4e38);
  logits[5] = 3.4e38;
  logits[96] = 3.4e38;
  assert(maxError(await run(logits, [96], 97), [-Math.LN2]) <= 1e-6);
  const lowest = new Float32Array(97).fill(-3.4e38);
  assert(maxError(await run(lowest, [0], 97), [-Math.log(97)]) <= 1e-5);
});

Deno.test("logprobs() gives NaN for the row that holds a NaN or an infinity, and only for it", async () => {
  for (const odd of [NaN, Infinity, -Infinity]) {
    const logits = randomFloats(3 * 300, 1);
    logits[300 + 299] = odd;
    assertEquals([...await run(logits, [1, 2, 3], 300)].map(Number.isNaN), [false, true, false]);
  }
});

Deno.test("logprobs() with `first` reads and writes from that entry on", async () => {
  const logits = normals(2 * 97, 3, 2);
  using rows = upload("logits", logits, [2, 97]);
  using targets = gpu.tensorOf("targets", "u32", [5], Uint32Array.of(0, 0, 0, 11, 96));
  using out = gpu.createTensor("out", "f32", [5]);
  const recorder = gpu.record();
  logprobs(recorder, { logits: rows, targets, out, nRows: 2, vocabSize: 97, first: 3 });
  await gpu.run(recorder);
  const actual = await download(out);
  assertEquals([...actual.subarray(0, 3)], [0, 0, 0]);
  assert(maxError(actual.subarray(3), twin(logits, [11, 96], 97)) <= 1e-5);
});
