import { assertEquals } from "@std/assert";
import { createSelection, select } from "../../src/kernels/select.ts";
import { argmax } from "../reference/argmax.ts";
import { penalize, seenWords } from "../reference/penalize.ts";
import { assertWithinReference, download, gpu } from "./fixture.ts";
import { normals, PLAIN, words } from "./selection_fixture.ts";

/** Selects greedily with a penalty from the same logits, `nSteps` times. */
async function run(values: Float32Array<ArrayBuffer>, prompt: readonly number[], penalty: number, nSteps: number) {
  const vocabSize = values.length;
  const selection = createSelection(gpu, vocabSize, nSteps);
  using logits = gpu.createTensor("logits", "f32", [vocabSize]);
  using state = gpu.createTensor("state", "u32", [8]);
  using token = gpu.createTensor("token", "u32", [1]);
  gpu.upload(selection.seen, seenWords(prompt, vocabSize));
  const recorder = gpu.record();
  const sampling = { ...PLAIN, temperature: 0, repetitionPenalty: penalty };
  select(recorder, { logits, state, token, selection, nStopIds: 0, sampling });
  const penalized: Float32Array[] = [];
  for (let step = 0; step < nSteps; step++) {
    gpu.upload(logits, values);
    gpu.submit([recorder]);
    penalized.push(await download(logits));
  }
  const ids = [...await words(selection.ring)];
  const done = (await words(state))[1];
  selection.dispose();
  return { penalized, ids, done };
}

for (const vocabSize of [9, 97, 4099]) {
  for (const penalty of [1.3, 0.5, 100]) {
    Deno.test(`a penalty of ${penalty} moves ${vocabSize} logits as its twin does`, async () => {
      const values = normals(vocabSize, 3, 3);
      values[7] = 50;
      values[8] = 0;
      const prompt = [0, 7, 8, 7, vocabSize - 1, ...Array.from({ length: 200 }, (_, i) => 3 * i % vocabSize)];
      const seen = new Set(prompt);
      const { penalized, ids } = await run(values, prompt, penalty, 4);
      for (const [step, actual] of penalized.entries()) {
        const exact = penalize(values, seen, penalty);
        const naive = Float32Array.from(exact);
        assertWithinReference(actual, exact, naive);
        assertEquals(ids[step], argmax(naive));
        seen.add(ids[step]!);
      }
    });
  }
}

Deno.test("a penalty keeps finite logits finite, and leaves the others to be found", async () => {
  const ends = Float32Array.of(-3.4e38, -3.3e38, 3.4e38, 1);
  for (const penalty of [4, 0.1]) {
    const { penalized, done } = await run(ends, [0, 1, 2, 3], penalty, 1);
    assertEquals([...penalized[0]!].map(Number.isFinite), [true, true, true, true]);
    assertEquals(done, 0);
  }
  for (const odd of [NaN, Infinity, -Infinity]) {
    assertEquals((await run(Float32Array.of(1, odd, 2), [0, 1, 2], 1.5, 1)).done, 2);
  }
});
