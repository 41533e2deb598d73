/**
 * `deno bench` of attention: a group for each model and phase. Times are of whole submits of `REPEATS` layers, from the
 * call until the GPU is done.
 *
 * @module
 */
import { Gpu } from "../src/gpu/device.ts";
import { FORMATS, Layer, MODELS } from "./attention.ts";

/** Layers in a submit, so that one takes milliseconds. */
const REPEATS = 4;

/** Past tokens and tokens of the chunk. */
const CHUNKS = [[0, 128], [3968, 128], [4095, 1]] as const;

const gpu = await Gpu.request();

for (const model of MODELS) {
  for (const [position, nTokens] of CHUNKS) {
    for (const format of FORMATS) {
      Deno.bench({
        name: `attention ${format}`,
        group: `${model.name}: ${nTokens} after ${position}, ${REPEATS} times`,
        baseline: format === "f32",
        n: 5,
        warmup: 1,
        fn: async (b) => {
          using layer = new Layer(gpu, model, format, position, nTokens);
          const recorder = layer.attention(REPEATS);
          await gpu.submit([recorder]);
          await gpu.settle();
          await gpu.device.queue.onSubmittedWorkDone();
          b.start();
          await gpu.submit([recorder]);
          // Deno waits for the GPU inside this call, and sleeps another 10 ms before the promise resolves.
          const done = gpu.device.queue.onSubmittedWorkDone();
          b.end();
          await done;
        },
      });
    }
  }
}
