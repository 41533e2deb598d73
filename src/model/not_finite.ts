/**
 * The error of logits that hold a NaN or an infinity, with the place where the first of them came up.
 *
 * @module
 */
import { ShaderError } from "../errors.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { Llama } from "./llama.ts";
import type { Scratch } from "./scratch.ts";
import type { Sequence } from "./sequence.ts";

/** What a layer leaves in the scratch, in the order in which it is computed. */
const STAGES: readonly (readonly [name: keyof Scratch, what: string])[] = [
  ["qkv", "queries, keys and values"],
  ["attended", "the output of attention"],
  ["activated", "the residual after attention, or the MLP's activation"],
  ["hidden", "the output of the MLP"],
];

/**
 * Feeds the last of some tokens again and looks where the first number that is not finite comes up.
 *
 * @param sequence Has all of the tokens cached. What it has cached of the last one is computed again.
 * @param tokens The tokens: the logits after the last one are not finite.
 * @returns The error to throw.
 */
export async function notFinite(sequence: Sequence, tokens: readonly number[]): Promise<ShaderError> {
  const { runtime } = sequence;
  const where = await runtime.exclusive(() => search(sequence, tokens)).catch(() => undefined);
  return new ShaderError(
    "logits",
    `Logits are not finite after ${tokens.length} tokens${where === undefined ? "" : `: ${where}`}; ` +
      `use weights and a KV cache in f32 where the model's numbers are too large for less, else try another adapter`,
  );
}

/** Weights are known to be finite, so that what is not stays so from layer to layer, and halving finds the first. */
async function search(sequence: Sequence, tokens: readonly number[]): Promise<string> {
  const { runtime: { gpu, llama, config, scheduler }, cache, runtime } = sequence;
  const position = tokens.length - 1;
  const stops = AbortSignal.any([runtime.gone, sequence.gone]);
  const [token, state] = await gpu.allocate(() => [
    gpu.tensorOf("token that is looked at", "u32", [1], Uint32Array.of(tokens[position]!)),
    gpu.tensorOf("state of the search", "u32", [8], Uint32Array.of(position, 0, 0, 0, 0, 0, 0, 0)),
  ]) as [Tensor, Tensor];
  const { scratch, weights } = llama;
  const isFinite = async (tensor: Tensor) => {
    const [rows] = tensor.shape as [number];
    return new Float32Array((await gpu.read(tensor, 0, tensor.byteLength / rows)).buffer).every(Number.isFinite);
  };
  /** Runs the first layers, and the head after all of them. */
  const run = async (nLayers: number) => {
    // Between two runs, a pass of other sequences may have grown it.
    const ropeTable = await runtime.ropeTable(cache.capacity, tokens.length);
    const recorder = gpu.record();
    const beginning = { ...weights, layers: weights.layers.slice(0, nLayers) };
    new Llama({ ...config, nLayers }, beginning, scratch).forward(recorder, token, [
      { nTokens: 1, state, cache, maxKvLength: tokens.length, ropeTable },
    ]);
    if (nLayers === config.nLayers) llama.logits(recorder, 0, 1);
    await scheduler.runChunk(recorder, stops, 1);
  };
  try {
    let finite = -1;
    let broken = config.nLayers + 1;
    while (broken - finite > 1) {
      const middle = Math.floor((finite + broken) / 2);
      await run(middle);
      if (await isFinite(scratch.hidden)) finite = middle;
      else broken = middle;
    }
    if (broken === 0) return `the embedding of token ${tokens[position]} is not`;
    // Attention may lose what is no number, so that a layer whose output is finite can have some all the same.
    for (let nLayers = broken <= config.nLayers ? broken : 1; nLayers <= config.nLayers; nLayers++) {
      await run(nLayers);
      for (const [name, what] of STAGES) {
        if (!await isFinite(scratch[name])) return `in layer ${nLayers - 1}, ${what} are the first that are not`;
      }
    }
    await run(config.nLayers);
    if (!await isFinite(scratch.logits)) return "all layers are finite, and the final norm or the head is not";
    return "computed again, they are finite: the adapter does not compute reliably";
  } finally {
    token.dispose();
    state.dispose();
  }
}
