import { assertEquals } from "@std/assert";
import { IN_PROMPT, type Penalties } from "../../src/kernels/penalize.ts";
import { createSelection, select } from "../../src/kernels/select.ts";
import { argmax } from "../reference/argmax.ts";
import { penalize } from "../reference/penalize.ts";
import { assertWithinReference, download, gpu } from "./fixture.ts";
import { normals, PLAIN, words } from "./selection_fixture.ts";

/** Selects greedily with penalties from the same logits, `nSteps` times. */
async function run(
  values: Float32Array<ArrayBuffer>,
  prompt: readonly number[],
  penalties: Partial<Penalties>,
  nSteps: number,
) {
  const vocabSize = values.length;
  const selection = createSelection(gpu, vocabSize, nSteps);
  using logits = gpu.createTensor("logits", "f32", [vocabSize]);
  using state = gpu.createTensor("state", "u32", [8]);
  using token = gpu.createTensor("token", "u32", [1]);
  const counts = new Uint32Array(vocabSize);
  for (const id of prompt) counts[id] = IN_PROMPT;
  gpu.upload(selection.counts, counts);
  const recorder = gpu.record();
  select(recorder, {
    logits,
    state,
    token,
    selection,
    nStopIds: 0,
    sampling: { ...PLAIN, temperature: 0, ...penalties },
  });
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
  for (
    const [repetition, presence, frequency] of [
      [1.3, 0, 0],
      [0.5, 0, 0],
      [100, 0, 0],
      [1, 2, 0],
      [1, 0, 0.75],
      [1.2, -2, 1.5],
    ] as const
  ) {
    const name = `repetition ${repetition}, presence ${presence}, frequency ${frequency}`;
    Deno.test(`penalties of ${name} move ${vocabSize} logits as their twin does`, async () => {
      const values = normals(vocabSize, 3, 3);
      values[7] = 50;
      values[8] = 0;
      const prompt = [0, 7, 8, 7, vocabSize - 1, ...Array.from({ length: 200 }, (_, i) => 3 * i % vocabSize)];
      const { penalized, ids } = await run(
        values,
        prompt,
        { repetitionPenalty: repetition, presencePenalty: presence, frequencyPenalty: frequency },
        5,
      );
      const output: number[] = [];
      for (const [step, actual] of penalized.entries()) {
        const exact = penalize(values, { prompt, output, repetition, presence, frequency });
        const naive = Float32Array.from(exact);
        assertWithinReference(actual, exact, naive);
        assertEquals(ids[step], argmax(naive));
        output.push(ids[step]!);
      }
    });
  }
}

Deno.test("penalties keep finite logits finite, and leave the others to be found", async () => {
  const ends = Float32Array.of(-3.4e38, -3.3e38, 3.4e38, 1);
  for (const repetitionPenalty of [4, 0.1]) {
    const { penalized, done } = await run(ends, [0, 1, 2, 3], { repetitionPenalty, frequencyPenalty: 2 }, 2);
    assertEquals([...penalized[1]!].map(Number.isFinite), [true, true, true, true]);
    assertEquals(done, 0);
  }
  for (const odd of [NaN, Infinity, -Infinity]) {
    assertEquals((await run(Float32Array.of(1, odd, 2), [0, 1, 2], { repetitionPenalty: 1.5 }, 1)).done, 2);
  }
});
