import { assertEquals } from "@std/assert";
import { createSelection, DONE_NOT_FINITE, select } from "../../src/kernels/select.ts";
import { argmax as twin } from "../reference/argmax.ts";
import { gpu, randomFloats, upload } from "./fixture.ts";
import { words } from "./selection_fixture.ts";

/** The token that is selected greedily, or the state's `done` where none is. */
async function run(values: Float32Array<ArrayBuffer>): Promise<{ token: number } | { done: number }> {
  const selection = createSelection(gpu, values.length, 1);
  using logits = upload("logits", values, [values.length]);
  using state = gpu.createTensor("state", "u32", [8]);
  using token = gpu.createTensor("token", "u32", [1]);
  const recorder = gpu.record();
  select(recorder, { logits, state, token, selection, nStopIds: 0 });
  gpu.submit([recorder]);
  const [after, next] = await Promise.all([state, token].map(words));
  selection.dispose();
  return after![1] === 0 ? { token: next![0]! } : { done: after![1]! };
}

for (const vocabSize of [1, 2, 97, 4095, 4096, 4097, 49152, 128256, 262144, 300000]) {
  Deno.test(`select() takes the largest of ${vocabSize} logits, the lowest id among equals`, async () => {
    const logits = randomFloats(vocabSize, vocabSize, 20);
    assertEquals(await run(logits), { token: twin(logits) });
    const best = logits[twin(logits)]!;
    for (const id of [vocabSize - 1, Math.floor(vocabSize / 3), Math.floor(vocabSize / 4)]) logits[id] = best;
    assertEquals(await run(logits), { token: twin(logits) });
    logits.fill(-2.5);
    assertEquals(await run(logits), { token: 0 });
  });
}

Deno.test("select() orders logits over the whole f32 range", async () => {
  const logits = new Float32Array(97).fill(-3.4e38);
  assertEquals(await run(logits), { token: 0 });
  for (const [i, value] of [-1e38, -1, -1e-30, -1e-45, 1e-45, 1e-30, 1, 3.4e38].entries()) {
    logits[96 - 7 * i] = value;
    assertEquals(await run(logits), { token: 96 - 7 * i });
  }
  assertEquals(await run(Float32Array.of(-1, -0, 0)), { token: 1 });
});

Deno.test("select() tells of a NaN or an infinity instead of choosing", async () => {
  for (const odd of [NaN, Infinity, -Infinity]) {
    for (const id of [0, 4096, 4999]) {
      const logits = randomFloats(5000, 1);
      logits[id] = odd;
      assertEquals(await run(logits), { done: DONE_NOT_FINITE });
    }
  }
});
