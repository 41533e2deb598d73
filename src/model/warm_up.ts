/**
 * Compiles every pipeline that generation needs, so that the first text waits for none of them.
 *
 * @module
 */
import { createSelection, select } from "../kernels/select.ts";
import { KvCache } from "./kv_cache.ts";
import { oneLayerOfEachKind } from "./layer_kinds.ts";
import { Llama } from "./llama.ts";
import type { Runtime } from "./runtime.ts";

/** Tokens of a chunk from which on its products take the same tiles. */
const CHUNK = 8;

/** Keys that decoding splits, unless the context is shorter. */
export const MANY_KEYS = 1024;

/**
 * Runs one layer of each kind on a chunk and on a single token, with few keys and with many, and selects a token. Layers
 * of a kind share their pipelines, and a software adapter compiles a pipeline only when it first runs.
 */
export async function warmUp(runtime: Runtime): Promise<void> {
  const { gpu, config, llama, contextLength } = runtime;
  const { scratch } = llama;
  const { config: shallow, weights } = oneLayerOfEachKind(config, llama.weights);
  const first = new Llama(shallow, weights, scratch);
  const cache = new KvCache(gpu, shallow, runtime.kvFormat, contextLength, runtime.prefillChunk);
  const { selection, state, token } = await gpu.allocate(() => ({
    selection: createSelection(gpu, config.vocabSize, 1),
    state: gpu.createTensor("warm-up state", "u32", [8]),
    token: gpu.createTensor("warm-up token", "u32", [1]),
  }));
  try {
    await cache.reserve(Math.min(CHUNK, contextLength));
    const ropeTable = await runtime.ropeTable(cache.capacity, 0);
    const recorder = gpu.record();
    gpu.pipelines.ahead(() => {
      const chunk = Math.min(CHUNK, contextLength, runtime.prefillChunk);
      for (const [nTokens, maxKvLength] of [[chunk, chunk], [1, 1], [1, Math.min(MANY_KEYS, contextLength)]] as const) {
        first.forward(recorder, scratch.tokens, [{ nTokens, state, cache, maxKvLength, ropeTable }]);
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
