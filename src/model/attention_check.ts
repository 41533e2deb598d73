/**
 * Known answers for attention with what comes before it: the norm of heads, the rotation, and the cache.
 *
 * @module
 */
import { attention } from "../kernels/attention.ts";
import { decodeAttention } from "../kernels/attention_decode.ts";
import { headNorm } from "../kernels/head_norm.ts";
import type { KvFormat } from "../kernels/kv_formats.ts";
import { ropeKv } from "../kernels/rope_kv.ts";
import type { Recorder } from "../gpu/recorder.ts";
import { KvCache } from "./kv_cache.ts";
import type { Runtime } from "./runtime.ts";
import { Snapshots, wrongKernel } from "./snapshots.ts";

/** Tokens: two in a chunk, and one that sees them. */
const TOKENS = 3;

/** How far outputs may be off, of values up to 1: what storage rounds, twice. */
const ALLOWED: Readonly<Record<KvFormat, number>> = { f32: 1e-4, f16: 4e-3, q8: 0.04, q4: 0.4 };

/**
 * Checks the kernels between the projection and attention's output.
 *
 * @throws {ShaderError} With the name of the first that computes wrongly, or of two of which one does.
 */
export async function checkAttention(runtime: Runtime): Promise<void> {
  const { gpu, config, llama: { scratch, weights }, contextLength, prefillChunk, kvFormat } = runtime;
  if (Math.min(contextLength, prefillChunk) < TOKENS) return;
  const { nHeads, nKvHeads, headDim, headNormEps: eps, noRopeLayers } = config;
  const heads = { nHeads, nKvHeads, headDim };
  const { qkv, q, attended: out, partials } = scratch;
  const weight = weights.layers[0]!.headNorm;
  const width = (nHeads + 2 * nKvHeads) * headDim;
  const cache = new KvCache(gpu, { ...config, nLayers: 1, slidingLayers: [] }, kvFormat, contextLength, prefillChunk);
  using snapshots = await Snapshots.of(gpu, TOKENS * width, 4 * TOKENS * width + (TOKENS + 2) * headDim);
  try {
    await cache.reserve(TOKENS);
    const table = await runtime.ropeTable(cache.capacity, TOKENS);
    using state = await gpu.allocate(() => gpu.createTensor("state of the check", "u32", [8]));
    using second = await gpu.allocate(() =>
      gpu.tensorOf("second state of the check", "u32", [8], Uint32Array.of(2, 0, 0, 0, 0, 0, 0, 0))
    );
    const { k, v, capacity } = cache.layers[0]!;
    const rotaryDim = noRopeLayers.includes(0) ? 0 : 2 * table.shape[1]!;
    const scale = headDim ** -0.5;
    const cached = { k, v, capacity, cacheFormat: kvFormat, ...heads };
    const recorder = gpu.record();
    snapshots.randomize(recorder, qkv, TOKENS * width);
    if (weight !== undefined) headNorm(recorder, { qkv, weight, nTokens: TOKENS, ...heads, eps: eps! });
    const projected = snapshots.keep(recorder, qkv, TOKENS * width);
    const begin = recorder.steps.length;
    ropeKv(recorder, { qkv, q, table, rotaryDim, state, nTokens: 2, ...cached });
    const rotating = namesOf(recorder, begin);
    const rotated = snapshots.keep(recorder, q, 2 * nHeads * headDim);
    const beginPrefill = recorder.steps.length;
    attention(recorder, { q, out, state, nTokens: 2, scale, maxKvLength: 2, ...cached });
    const prefilling = namesOf(recorder, beginPrefill);
    const prefilled = snapshots.keep(recorder, out, 2 * nHeads * headDim);
    // Its row is the third of the projections, and the third of the outputs.
    const beginDecode = recorder.steps.length;
    decodeAttention(recorder, {
      ...{ qkv, table, rotaryDim, state: second, partials, out, row: 2, scale, maxKvLength: TOKENS, ...cached },
    });
    const decoding = namesOf(recorder, beginDecode);
    const decoded = snapshots.keep(recorder, out, TOKENS * nHeads * headDim);
    const turns = snapshots.keep(recorder, table, TOKENS * table.shape[1]! * 2);
    const gains = weight === undefined ? -1 : snapshots.keep(recorder, weight, 2 * headDim);
    const read = await snapshots.run(recorder);

    const require = (actual: ArrayLike<number>, expected: ArrayLike<number>, allowed: number, names: string[]) => {
      for (let i = 0; i < expected.length; i++) {
        if (!(Math.abs(actual[i]! - expected[i]!) <= allowed)) throw wrongKernel(gpu.name, names);
      }
    };
    const vectors = Array.from(
      { length: TOKENS },
      (_, token) =>
        Array.from({ length: nHeads + 2 * nKvHeads }, (_, head) => {
          const at = token * width + head * headDim;
          const vector = read(projected + at, headDim);
          if (gains >= 0 && head < nHeads + nKvHeads) {
            const gain = read(gains + (head < nHeads ? 0 : headDim), headDim);
            require(vector, normalised(snapshots.random(at, headDim), gain, eps!), 1e-3, ["head_norm"]);
          }
          const isRotated = head < nHeads + nKvHeads;
          return isRotated
            ? rotate(vector, read(turns + token * table.shape[1]! * 2, rotaryDim))
            : Float64Array.from(vector);
        }),
    );
    const largest = Math.max(1, ...vectors.flat().map((vector) => Math.max(...vector.map(Math.abs))));
    const allowed = ALLOWED[kvFormat] * largest;
    for (let token = 0; token < TOKENS; token++) {
      const expected = vectors[token]!.slice(0, nHeads).flatMap((query, head) => {
        const kvHead = nHeads + Math.floor(head / (nHeads / nKvHeads));
        const seen = vectors.slice(0, token + 1);
        return attend(query, seen.map((each) => each[kvHead]!), seen.map((each) => each[kvHead + nKvHeads]!), scale);
      });
      const at = token * nHeads * headDim;
      if (token === 2) {
        require(read(decoded + at, nHeads * headDim), expected, allowed, decoding);
      } else {
        // A cache of 4 bits has its queries rotated once more.
        if (kvFormat !== "q4") {
          const queries = vectors[token]!.slice(0, nHeads).flatMap((vector) => [...vector]);
          require(read(rotated + at, nHeads * headDim), queries, 1e-3 * largest, rotating);
        }
        require(read(prefilled + at, nHeads * headDim), expected, allowed, [...prefilling, ...rotating]);
      }
    }
  } finally {
    cache.dispose();
  }
}

function namesOf(recorder: Recorder, begin: number): string[] {
  return recorder.steps.slice(begin).flatMap((step) => "kernel" in step ? [step.kernel.name] : []);
}

function normalised(values: Float32Array, gain: Float32Array, eps: number): Float64Array {
  const square = values.reduce((sum, value) => sum + value * value, 0) / values.length;
  return Float64Array.from(values, (value, i) => value * gain[i]! / Math.sqrt(square + eps));
}

/** Turns pairs (j, j + rotaryDim / 2) by cosines and sines: (rotaryDim / 2, 2). */
function rotate(vector: Float32Array, turns: Float32Array): Float64Array {
  const rotated = Float64Array.from(vector);
  const half = turns.length / 2;
  for (let j = 0; j < half; j++) {
    const [cos, sin] = [turns[2 * j]!, turns[2 * j + 1]!];
    rotated[j] = vector[j]! * cos - vector[j + half]! * sin;
    rotated[j + half] = vector[j + half]! * cos + vector[j]! * sin;
  }
  return rotated;
}

function attend(query: Float64Array, keys: Float64Array[], values: Float64Array[], scale: number): number[] {
  const weights = keys.map((key) => Math.exp(scale * key.reduce((sum, value, i) => sum + value * query[i]!, 0)));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return Array.from(query, (_, i) => values.reduce((sum, value, at) => sum + weights[at]! * value[i]!, 0) / total);
}
