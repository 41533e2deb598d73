/**
 * `deno bench` of selecting the next token, a group for each vocabulary. Times are of whole submits of `REPEATS`
 * selections, from the call until the GPU is done.
 *
 * @module
 */
import { Gpu } from "../src/gpu/device.ts";
import type { Recorder } from "../src/gpu/recorder.ts";
import { logprobs } from "../src/kernels/logprobs.ts";
import { resolveSampling } from "../src/generate/sampling.ts";
import { createSelection, type ResolvedSampling, select } from "../src/kernels/select.ts";

/** Selections in a submit, so that one takes milliseconds. */
const REPEATS = 16;

/** Vocabularies of Llama-2, SmolLM2 and Llama-3. */
const VOCABULARIES = [32000, 49152, 128256];

const PLAIN = resolveSampling({ temperature: 1, seed: 1 });

const SELECTIONS: Readonly<Record<string, ResolvedSampling>> = {
  "greedy": { ...PLAIN, temperature: 0 },
  "temperature": PLAIN,
  "temperature, top-p": { ...PLAIN, temperature: 0.7, topP: 0.95 },
  "penalty, temperature, top-k, top-p, min-p": {
    ...PLAIN,
    repetitionPenalty: 1.1,
    temperature: 0.8,
    topK: 50,
    topP: 0.95,
    minP: 0.02,
    seed: 1,
  },
};

const gpu = await Gpu.request();

/** Sums of twelve even numbers: about normally distributed, with a standard deviation of 3, as logits roughly are. */
function logitsOf(vocabSize: number): Float32Array<ArrayBuffer> {
  let state = 1;
  const next = () => (state = Math.imul(state, 1664525) + 1013904223 >>> 0) / 2 ** 32 - 0.5;
  return Float32Array.from({ length: vocabSize }, () => {
    let sum = 0;
    for (let i = 0; i < 12; i++) sum += next();
    return 3 * sum;
  });
}

async function time(b: Deno.BenchContext, recorder: Recorder): Promise<void> {
  gpu.submit([recorder]);
  await gpu.settle();
  await gpu.device.queue.onSubmittedWorkDone();
  b.start();
  gpu.submit([recorder]);
  // Deno waits for the GPU inside this call, and sleeps another 10 ms before the promise resolves.
  const done = gpu.device.queue.onSubmittedWorkDone();
  b.end();
  await done;
}

for (const vocabSize of VOCABULARIES) {
  const group = `one of ${vocabSize} tokens, ${REPEATS} times`;
  const values = logitsOf(vocabSize);
  for (const [name, sampling] of Object.entries(SELECTIONS)) {
    Deno.bench({
      name,
      group,
      baseline: name === "greedy",
      n: 10,
      warmup: 1,
      fn: async (b) => {
        const selection = createSelection(gpu, vocabSize, REPEATS);
        using logits = gpu.tensorOf("logits", "f32", [vocabSize], values);
        using state = gpu.createTensor("state", "u32", [8]);
        using token = gpu.createTensor("token", "u32", [1]);
        const recorder = gpu.record();
        for (let i = 0; i < REPEATS; i++) {
          select(recorder, { logits, state, token, selection, nStopIds: 0, sampling });
        }
        await time(b, recorder);
        selection.dispose();
      },
    });
  }
  Deno.bench({
    name: "logprobs of a row",
    group,
    n: 10,
    warmup: 1,
    fn: async (b) => {
      using logits = gpu.tensorOf("logits", "f32", [1, vocabSize], values);
      using targets = gpu.tensorOf("targets", "u32", [1], Uint32Array.of(1));
      using out = gpu.createTensor("out", "f32", [1]);
      const recorder = gpu.record();
      for (let i = 0; i < REPEATS; i++) logprobs(recorder, { logits, targets, out, nRows: 1, vocabSize });
      await time(b, recorder);
    },
  });
}
