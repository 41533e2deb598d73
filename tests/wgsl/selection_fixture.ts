/**
 * What the tests of selection share.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { resolveSampling } from "../../src/generate/sampling.ts";
import type { Tensor } from "../../src/gpu/tensor.ts";
import type { ResolvedSampling } from "../../src/kernels/sample.ts";
import { createSelection, select } from "../../src/kernels/select.ts";
import { gpu, random, upload } from "./fixture.ts";

/** Draws from the whole vocabulary with its own probabilities. */
export const PLAIN: ResolvedSampling = resolveSampling({ temperature: 1, seed: 0 });

/** Normally distributed values, as logits roughly are. */
export function normals(length: number, seed: number, scale: number): Float32Array<ArrayBuffer> {
  const next = random(seed);
  return Float32Array.from({ length }, () => {
    const radius = Math.sqrt(-2 * Math.log((next() + 1) / 2 + 1e-10));
    return scale * radius * Math.cos(Math.PI * next());
  });
}

/** A GPU tensor's u32 values. */
export async function words(tensor: Tensor): Promise<Uint32Array> {
  return new Uint32Array((await gpu.read(tensor)).buffer);
}

/** Draws `nDraws` tokens from the same logits; also gives the masses. */
export async function drawMany(
  values: Float32Array<ArrayBuffer>,
  sampling: ResolvedSampling,
  nDraws: number,
): Promise<{ ids: number[]; masses: Uint32Array }> {
  const vocabSize = values.length;
  const selection = createSelection(gpu, vocabSize, nDraws);
  using logits = upload("logits", values, [vocabSize]);
  using state = gpu.createTensor("state", "u32", [8]);
  using token = gpu.createTensor("token", "u32", [1]);
  const recorder = gpu.record();
  select(recorder, { logits, state, token, selection, nStopIds: 0, sampling });
  for (let done = 0; done < nDraws; done += 64) gpu.submit(Array(Math.min(64, nDraws - done)).fill(recorder));
  // Reads wait at the same time: each takes ten milliseconds.
  const [after, ids, masses] = await Promise.all([state, selection.ring, selection.masses].map(words));
  assertEquals([...after!].slice(0, 3), [nDraws, 0, nDraws]);
  selection.dispose();
  return { ids: [...ids!], masses: masses!.slice(0, vocabSize) };
}
