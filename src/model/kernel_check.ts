/**
 * Known answers for the kernels of a loaded model, with its own weights, shapes and storage formats: the operations of
 * one layer of each kind on random vectors, each recomputed on the host. A driver that miscompiles one is named instead
 * of trusted.
 *
 * @module
 */
import { type Matrix, stackMatrices } from "../gpu/matrix.ts";
import { attentionCheck, AttentionRoom } from "./attention_check.ts";
import { oneLayerOfEachKind } from "./layer_kinds.ts";
import { type Product, productCheck, sampledRows } from "./product_check.ts";
import type { Runtime } from "./runtime.ts";
import type { Scratch } from "./scratch.ts";
import { runChecks } from "./snapshots.ts";
import type { LlamaWeights } from "./weights.ts";

/** Rows of each part of the head that are checked: a whole vocabulary takes as long as many layers. */
const HEAD_ROWS = 4096;

/**
 * Checks the kernels that every token takes, all in one submit. What they need besides the model's own activations is a
 * few vectors long.
 *
 * @throws {ShaderError} With the name of the first that computes wrongly.
 */
export async function checkKernels(runtime: Runtime): Promise<void> {
  const { gpu, llama, stepLlama, prefillChunk, maxBatch } = runtime;
  const { scratch } = prefillChunk < maxBatch ? stepLlama : llama;
  const { config, weights } = oneLayerOfEachKind(runtime.config, llama.weights);
  const products = distinct(productsOf(weights, scratch), dispatchesOf);
  const rows = products.map(sampledRows);
  const longest = Math.max(...products.map(({ matrix }, i) => rows[i]!.length * matrix.columns));
  using ids = await gpu.allocate(() => {
    const all = Uint32Array.from(rows.flat());
    return gpu.tensorOf("rows that are checked", "u32", [all.length], all);
  });
  using unpacked = await gpu.allocate(() => gpu.createTensor("checked rows", "f32", [longest]));
  using room = await AttentionRoom.of(runtime, scratch);
  let idsOffset = 0;
  const checks = products.map((product, i) => {
    const check = productCheck(runtime, scratch, product, { ids, idsOffset, unpacked });
    idsOffset += rows[i]!.length;
    return check;
  });
  const layers = weights.layers.map(({ headNorm }, i) => ({
    headNorm,
    isRotated: !config.noRopeLayers.includes(i),
    window: config.slidingLayers.includes(i) ? config.slidingWindow : undefined,
  }));
  for (const layer of room === undefined ? [] : distinct(layers, ({ isRotated, window }) => `${isRotated} ${window}`)) {
    checks.push(attentionCheck(runtime, scratch, layer, room!));
  }
  await runChecks(gpu, checks);
}

/** The products of a forward pass. */
function productsOf({ layers, lmHead, norm }: LlamaWeights, scratch: Scratch): Product[] {
  const { hidden, attended, activated, qkv, logits } = scratch;
  const products = layers.flatMap((layer): Product[] => [
    { matrix: layer.qkvProj, bias: layer.qkvBias, x: hidden, gain: layer.inputNorm, out: qkv },
    { matrix: layer.oProj, bias: layer.oBias, x: attended, out: hidden, adds: true },
    {
      ...{ matrix: layer.gateUpProj, bias: layer.gateUpBias, x: hidden, gain: layer.postAttentionNorm },
      ...{ isGated: true, out: activated },
    },
    { matrix: layer.downProj, bias: layer.downBias, x: activated, out: hidden, adds: true },
  ]);
  const formats = new Set(products.flatMap(({ matrix: { parts } }) => parts.map(({ format }) => format)));
  products.push({
    ...{ matrix: firstRows(lmHead, HEAD_ROWS), bias: undefined, x: hidden, gain: norm, out: logits },
    // A prompt and a decoded token take one row of logits. Tiles of another format than the layers' are compiled for
    // several rows alone.
    isSingle: !lmHead.parts.every(({ format }) => formats.has(format)),
  });
  return products;
}

/** Some rows of each part of a matrix. */
function firstRows({ columns, groups, parts }: Matrix, most: number): Matrix {
  return stackMatrices(parts.map((part) => {
    const rows = Math.min(part.rows, most);
    return { rows, columns, groups, parts: [{ ...part, rowBegin: 0, rows }] };
  }));
}

/** Names what a product dispatches: layers of different kinds have most of their products alike. */
function dispatchesOf({ matrix: { rows, columns, parts }, gain, isGated, adds }: Product): string {
  return JSON.stringify([rows, columns, parts.map(({ format }) => format), gain !== undefined, isGated, adds]);
}

/** The first of all that have the same key. */
function distinct<T>(all: readonly T[], keyOf: (each: T) => string): T[] {
  const seen = new Map<string, T>();
  for (const each of all) if (!seen.has(keyOf(each))) seen.set(keyOf(each), each);
  return [...seen.values()];
}
