import { assert, assertEquals } from "@std/assert";
import { createSelection, select } from "../../src/kernels/select.ts";
import {
  createTopLogprobs,
  MAX_TOP_LOGPROBS,
  readTopLogprobs,
  type TokenLogprobs,
} from "../../src/kernels/top_logprobs.ts";
import { topLogprobs } from "../reference/top_logprobs.ts";
import { gpu, upload } from "./fixture.ts";
import { normals, PLAIN, words } from "./selection_fixture.ts";

/** Draws `nSteps` tokens from the same logits and tells their log-probabilities. */
async function run(
  values: Float32Array<ArrayBuffer>,
  { nTop, nSteps = 1, capacity = nSteps, temperature = 1, frequencyPenalty = 0 }: {
    nTop: number;
    nSteps?: number;
    capacity?: number;
    temperature?: number;
    frequencyPenalty?: number;
  },
): Promise<TokenLogprobs[]> {
  const vocabSize = values.length;
  const selection = createSelection(gpu, vocabSize, nSteps);
  const logprobs = createTopLogprobs(gpu, vocabSize, nTop, capacity);
  using logits = upload("logits", values, [vocabSize]);
  using state = gpu.createTensor("state", "u32", [8]);
  using token = gpu.createTensor("token", "u32", [1]);
  const recorder = gpu.record();
  const sampling = { ...PLAIN, temperature, frequencyPenalty };
  select(recorder, { logits, state, token, selection, nStopIds: 0, sampling, logprobs });
  for (let step = 0; step < nSteps; step++) {
    gpu.upload(logits, values);
    gpu.submit([recorder]);
  }
  const [ids, rows] = await Promise.all([words(selection.ring), words(logprobs.rows)]);
  selection.dispose();
  logprobs.dispose();
  const first = Math.max(0, nSteps - capacity);
  const told = new Uint32Array(rows);
  return [...ids].slice(first, nSteps).map((id, i) => readTopLogprobs(logprobs, told, first + i, id));
}

function assertMatches(actual: TokenLogprobs, values: Float32Array, nTop: number): void {
  const exact = topLogprobs(values, actual.token, nTop);
  assertEquals(actual.top.map(({ token }) => token), exact.top.map(({ token }) => token));
  const pairs = [[actual.logprob, exact.logprob]];
  for (const [rank, { logprob }] of actual.top.entries()) pairs.push([logprob, exact.top[rank]!.logprob]);
  for (const [a, b] of pairs) assert(Math.abs(a! - b!) <= 1e-5 + 1e-6 * Math.abs(b!), `${a} is not ${b}`);
}

for (const vocabSize of [1, 3, 97, 4096, 4097, 49152, 128256]) {
  for (const nTop of [0, 5, MAX_TOP_LOGPROBS]) {
    Deno.test(`log-probabilities of a token and the ${nTop} likeliest of ${vocabSize} are their twin's`, async () => {
      const values = normals(vocabSize, vocabSize, 4);
      for (const told of await run(values, { nTop, nSteps: 3 })) assertMatches(told, values, nTop);
    });
  }
}

Deno.test("equal logits rank by id, across stretches too", async () => {
  const values = new Float32Array(9000).fill(1);
  values[8999] = 2;
  values[4095] = 2;
  values[4096] = 2;
  const [told] = await run(values, { nTop: 6, temperature: 0 });
  assertEquals(told!.top.map(({ token }) => token), [4095, 4096, 8999, 0, 1, 2]);
  assertMatches(told!, values, 6);
});

Deno.test("log-probabilities are the model's own, whatever penalties and temperature do", async () => {
  const values = normals(500, 2, 3);
  for (const told of await run(values, { nTop: 4, nSteps: 6, temperature: 0, frequencyPenalty: 2 })) {
    assertMatches(told, values, 4);
  }
});

Deno.test("rows go round their capacity", async () => {
  const values = normals(300, 9, 1);
  for (const told of await run(values, { nTop: 2, nSteps: 7, capacity: 3 })) assertMatches(told, values, 2);
});

Deno.test("logits at both ends of the f32 range have log-probabilities", async () => {
  const values = new Float32Array(97).fill(-3.4e38);
  values[5] = 3.4e38;
  values[96] = 3.4e38;
  const [told] = await run(values, { nTop: 2, temperature: 0 });
  assertEquals(told!.top.map(({ token }) => token), [5, 96]);
  assert(Math.abs(told!.logprob + Math.LN2) <= 1e-6);
});
