/**
 * Compiles every pipeline that generation needs, so that the first text waits for none of them.
 *
 * @module
 */
import { createSelection, select } from "../kernels/select.ts";
import { KvCache } from "./kv_cache.ts";
import { Llama } from "./llama.ts";
import type { Runtime } from "./runtime.ts";

/**
 * Runs one layer on a chunk and on a single token, and selects a token. Layers share their pipelines, and a software
 * adapter compiles a pipeline only when it first runs.
 */
export async function warmUp(runtime: Runtime): Promise<void> {
  const { gpu, config, llama, contextLength } = runtime;
  const { scratch } = llama;
  const shallow = { ...config, nLayers: 1 };
  const first = new Llama(shallow, { ...llama.weights, layers: llama.weights.layers.slice(0, 1) }, scratch);
  const cache = new KvCache(gpu, shallow, runtime.kvFormat, contextLength, runtime.prefillChunk);
  const { selection, state, token } = await gpu.allocate(() => ({
    selection: createSelection(gpu, config.vocabSize, 1),
    state: gpu.createTensor("warm-up state", "u32", [8]),
    token: gpu.createTensor("warm-up token", "u32", [1]),
  }));
  try {
    await cache.reserve(Math.min(2, contextLength));
    const ropeTable = await runtime.ropeTable(cache.capacity, 0);
    const recorder = gpu.record();
    gpu.pipelines.ahead(() => {
      for (let nTokens = Math.min(2, contextLength, runtime.prefillChunk); nTokens > 0; nTokens--) {
        first.forward(recorder, [
          { tokens: scratch.tokens, nTokens, state, cache, maxKvLength: nTokens, ropeTable },
        ]);
      }
      first.logits(recorder, 0, 1);
      select(recorder, { logits: scratch.logits, state, token, selection, nStopIds: 0 });
    });
    await gpu.settle();
    await gpu.run(recorder);
    await gpu.settle();
  } finally {
    cache.dispose();
    selection.dispose();
    state.dispose();
    token.dispose();
  }
}
