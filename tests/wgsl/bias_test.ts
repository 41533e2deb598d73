import { assertEquals } from "@std/assert";
import { biasEntries, MAX_BIASES } from "../../src/kernels/penalize.ts";
import { createSelection, select } from "../../src/kernels/select.ts";
import { argmax } from "../reference/argmax.ts";
import { addBias } from "../reference/penalize.ts";
import { assertWithinReference, download, gpu, random, upload } from "./fixture.ts";
import { normals, PLAIN, words } from "./selection_fixture.ts";

type Biases = readonly (readonly [id: number, bias: number])[];

async function run(values: Float32Array<ArrayBuffer>, logitBias: Biases) {
  const vocabSize = values.length;
  const selection = createSelection(gpu, vocabSize, 1);
  using logits = upload("logits", values, [vocabSize]);
  using state = gpu.createTensor("state", "u32", [8]);
  using token = gpu.createTensor("token", "u32", [1]);
  gpu.upload(selection.biases, biasEntries(logitBias));
  const recorder = gpu.record();
  const sampling = { ...PLAIN, temperature: 0, logitBias };
  select(recorder, { logits, state, token, selection, nStopIds: 0, sampling });
  gpu.submit([recorder]);
  const [biased, [id], after] = await Promise.all([download(logits), words(token), words(state)]);
  selection.dispose();
  return { biased, id, done: after[1] };
}

for (const [vocabSize, nBiases] of [[1, 1], [97, 3], [1025, 64], [4099, 65], [49152, MAX_BIASES]] as const) {
  Deno.test(`${nBiases} biases move ${vocabSize} logits as their twin does`, async () => {
    const values = normals(vocabSize, 5, 4);
    const next = random(nBiases);
    const step = Math.floor(vocabSize / nBiases);
    const biases = Array.from({ length: nBiases }, (_, i) => [i * step, 100 * next()] as const);
    const { biased, id } = await run(values, biases);
    const exact = addBias(values, biases);
    const naive = Float32Array.from(exact);
    assertWithinReference(biased, exact, naive);
    assertEquals(id, argmax(naive));
  });
}

Deno.test("a bias keeps a finite logit finite, and leaves the others to be found", async () => {
  const { biased, done } = await run(Float32Array.of(-3.4e38, 3.4e38, 0), [[0, -100], [1, 100]]);
  assertEquals([[...biased].every(Number.isFinite), done], [true, 0]);
  for (const odd of [NaN, Infinity, -Infinity]) {
    assertEquals((await run(Float32Array.of(1, odd), [[1, -100]])).done, 2);
  }
});
