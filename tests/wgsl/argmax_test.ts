import { assertEquals } from "@std/assert";
import { createSelection, select, setStopIds } from "../../src/kernels/select.ts";
import { argmax as twin } from "../reference/argmax.ts";
import { gpu, randomFloats } from "./fixture.ts";

interface Step {
  readonly state: number[];
  readonly token: number;
  readonly ring: number[];
}

/** Runs one greedy selection for each row of logits, on one sequence. */
async function run(
  rows: readonly Float32Array<ArrayBuffer>[],
  { stopIds = [], state = [10, 0, 0], ringCapacity = 4, nTokens = 1 }: {
    stopIds?: number[];
    state?: number[];
    ringCapacity?: number;
    nTokens?: number;
  } = {},
): Promise<Step> {
  const vocabSize = rows[0]!.length;
  const selection = createSelection(gpu, vocabSize, ringCapacity);
  using logits = gpu.createTensor("logits", "f32", [vocabSize]);
  using states = gpu.tensorOf("state", "u32", [8], Uint32Array.from([...state, 3, 4, 5, 6, 7]));
  using token = gpu.tensorOf("token", "u32", [1], Uint32Array.of(999));
  setStopIds(gpu, selection, stopIds);
  const recorder = gpu.record();
  select(recorder, { logits, state: states, token, selection, nStopIds: stopIds.length, nTokens });
  for (const row of rows) {
    gpu.upload(logits, row);
    gpu.submit([recorder]);
  }
  const words = async (tensor: typeof token) => [...new Uint32Array((await gpu.read(tensor)).buffer)];
  const step = { state: await words(states), token: (await words(token))[0]!, ring: await words(selection.ring) };
  selection.dispose();
  return step;
}

for (const vocabSize of [1, 2, 97, 4095, 4096, 4097, 49152, 128256, 262144]) {
  Deno.test(`select() takes the largest of ${vocabSize} logits, the lowest id among equals`, async () => {
    const logits = randomFloats(vocabSize, vocabSize, 20);
    assertEquals((await run([logits])).token, twin(logits));
    const best = logits[twin(logits)]!;
    for (const id of [vocabSize - 1, Math.floor(vocabSize / 3), Math.floor(vocabSize / 4)]) logits[id] = best;
    assertEquals((await run([logits])).token, twin(logits));
    logits.fill(-2.5);
    assertEquals((await run([logits])).token, 0);
  });
}

Deno.test("select() orders logits over the whole f32 range", async () => {
  const logits = new Float32Array(97).fill(-3.4e38);
  assertEquals((await run([logits])).token, 0);
  const rising = [-1e38, -1, -1e-30, -1e-45, 1e-45, 1e-30, 1, 3.4e38];
  for (const [i, value] of rising.entries()) {
    logits[96 - 7 * i] = value;
    assertEquals((await run([logits])).token, 96 - 7 * i);
  }
});

Deno.test("select() writes the token, appends it to the ring and advances position and count", async () => {
  const rows = [3, 1, 4, 1, 5, 9].map((id) => Float32Array.from({ length: 97 }, (_, i) => i === id ? 1 : 0));
  assertEquals(await run(rows), { state: [16, 0, 6, 3, 4, 5, 6, 7], token: 9, ring: [5, 9, 4, 1] });
  assertEquals((await run(rows.slice(0, 1), { nTokens: 33 })).state.slice(0, 3), [43, 0, 1]);
});

Deno.test("select() is done at a stop id, and overrun steps change nothing", async () => {
  const rows = [3, 8, 4, 5].map((id) => Float32Array.from({ length: 97 }, (_, i) => i === id ? 1 : 0));
  const many = Array.from({ length: 64 }, (_, i) => 96 - i);
  const done = { state: [12, 1, 2, 3, 4, 5, 6, 7], token: 8, ring: [3, 8, 0, 0] };
  assertEquals(await run(rows, { stopIds: [60, 8] }), done);
  assertEquals(await run(rows, { stopIds: [...many.slice(1), 8] }), done);
  assertEquals((await run(rows, { stopIds: many })).state.slice(0, 3), [14, 0, 4]);
});

Deno.test("select() tells of a NaN or an infinity instead of choosing", async () => {
  for (const odd of [NaN, Infinity, -Infinity]) {
    for (const id of [0, 4096, 4999]) {
      const logits = randomFloats(5000, 1);
      logits[id] = odd;
      assertEquals(await run([logits]), { state: [10, 2, 0, 3, 4, 5, 6, 7], token: 999, ring: [0, 0, 0, 0] });
    }
  }
});
