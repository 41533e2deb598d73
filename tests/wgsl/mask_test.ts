import { assert, assertEquals } from "@std/assert";
import { maskWords } from "../../src/kernels/mask.ts";
import { createSelection, select } from "../../src/kernels/select.ts";
import { argmax } from "../reference/argmax.ts";
import { mask } from "../reference/mask.ts";
import { download, gpu, random, upload } from "./fixture.ts";
import { normals, PLAIN, words } from "./selection_fixture.ts";

/** Selects `nSteps` times from the same logits, under the same mask. */
async function run(
  values: Float32Array<ArrayBuffer>,
  isAllowed: (id: number) => boolean,
  sampling = { ...PLAIN, temperature: 0 },
  nSteps = 1,
) {
  const vocabSize = values.length;
  const selection = createSelection(gpu, vocabSize, nSteps);
  // Bits past the vocabulary are set, as nothing may come of them.
  const bits = new Uint32Array(maskWords(vocabSize));
  for (let id = 0; id < 32 * bits.length; id++) {
    if (id >= vocabSize || isAllowed(id)) bits[id >> 5]! |= 1 << (id & 31);
  }
  gpu.upload(selection.allowed, bits);
  using logits = upload("logits", values, [vocabSize]);
  using state = gpu.createTensor("state", "u32", [8]);
  using token = gpu.createTensor("token", "u32", [1]);
  const recorder = gpu.record();
  select(recorder, { logits, state, token, selection, nStopIds: 0, sampling, isMasked: true });
  gpu.submit(Array(nSteps).fill(recorder));
  const [masked, ids, after] = await Promise.all([download(logits), words(selection.ring), words(state)]);
  selection.dispose();
  return { masked, ids: [...ids], done: after[1] };
}

for (const vocabSize of [1, 31, 32, 97, 1025, 4099, 49152]) {
  for (const share of [0.001, 0.5, 1]) {
    Deno.test(`a mask of ${100 * share}% keeps of ${vocabSize} logits what its twin does`, async () => {
      const values = normals(vocabSize, 7, 4);
      const next = random(vocabSize);
      const allowed = new Set([vocabSize - 1]);
      for (let id = 0; id < vocabSize; id++) if ((next() + 1) / 2 < share) allowed.add(id);
      const { masked, ids, done } = await run(values, (id) => allowed.has(id));
      const expected = Float32Array.from(mask(values, (id) => allowed.has(id)));
      assertEquals(masked, expected);
      assertEquals([ids[0], done], [argmax(expected), 0]);
    });
  }
}

for (
  const [name, sampling] of Object.entries({
    "plainly": PLAIN,
    "hot": { ...PLAIN, temperature: 100 },
    "by top-k": { ...PLAIN, topK: 40 },
    "by top-p and min-p": { ...PLAIN, topP: 0.99, minP: 0.001 },
  })
) {
  Deno.test(`sampling ${name} draws allowed tokens only, however unlikely they are`, async () => {
    const values = normals(1025, 9, 8);
    const allowed = [3, 500, 1024];
    for (const id of allowed) values[id] = -300 - id / 1000;
    const { ids } = await run(values, (id) => allowed.includes(id), sampling, 200);
    assertEquals(ids.filter((id) => !allowed.includes(id)), []);
    assert(new Set(ids).size === 3, `only ${[...new Set(ids)]} were drawn`);
  });
}

Deno.test("a mask keeps a token that penalties and biases pushed to the end of the range above the others", async () => {
  const sampling = { ...PLAIN, temperature: 0, logitBias: [[2, -100]] as const };
  const { ids } = await run(Float32Array.of(5, 6, -3.4e38), (id) => id === 2, sampling);
  assertEquals(ids, [2]);
});

Deno.test("a mask leaves logits that are not finite to be found", async () => {
  for (const odd of [NaN, Infinity, -Infinity]) {
    assertEquals((await run(Float32Array.of(1, odd, 2), (id) => id !== 1)).done, 2);
  }
});
