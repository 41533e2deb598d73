/**
 * The forward pass of Llama (Touvron et al., 2023) and its relatives, as a recording. Prefill and decode are the same
 * function: a chunk of a prompt has many tokens, a decoded token is a chunk of one.
 *
 * @module
 */
import type { Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { attention } from "../kernels/attention.ts";
import { embed } from "../kernels/embed.ts";
import { headNorm } from "../kernels/head_norm.ts";
import { matmul } from "../kernels/matmul.ts";
import { rmsNorm } from "../kernels/rms_norm.ts";
import { ropeKv } from "../kernels/rope_kv.ts";
import { siluMul } from "../kernels/silu_mul.ts";
import type { ModelConfig } from "./config.ts";
import type { KvCache } from "./kv_cache.ts";
import type { Scratch } from "./scratch.ts";
import type { LlamaWeights } from "./weights.ts";

/** What one pass works on. */
export interface Chunk {
  /** Token ids: (nTokens) u32. */
  readonly tokens: Tensor;
  /** How many tokens. */
  readonly nTokens: number;
  /** Sequence state; its first word is the position of the chunk's first token. */
  readonly state: Tensor;
  /** Keys and values of the tokens before; the chunk's are added. */
  readonly cache: KvCache;
  /** The host's bound on the tokens in the cache after the pass: sizes attention's grid. */
  readonly maxKvLength: number;
  /** Cosines and sines by position: (nPositions, rotaryDim / 2, 2). */
  readonly ropeTable: Tensor;
}

/** A Llama whose weights are on the GPU. */
export class Llama {
  readonly config: ModelConfig;
  readonly weights: LlamaWeights;
  readonly scratch: Scratch;

  constructor(config: ModelConfig, weights: LlamaWeights, scratch: Scratch) {
    this.config = config;
    this.weights = weights;
    this.scratch = scratch;
  }

  /** Records the layers. Afterwards `scratch.hidden` holds the chunk's last hidden rows: (nTokens, hiddenSize). */
  forward(recorder: Recorder, { tokens, nTokens, state, cache, maxKvLength, ropeTable }: Chunk): void {
    const { hiddenSize: dim, intermediateSize, nHeads, nKvHeads, headDim, rmsNormEps: eps } = this.config;
    const { hidden, normed, qkv, q, attended, partials, gateUp, activated } = this.scratch;
    const { headNormEps, slidingWindow, slidingLayers, noRopeLayers } = this.config;
    const nRows = nTokens;
    const heads = { nTokens, nHeads, nKvHeads, headDim, cacheFormat: cache.format };
    embed(recorder, { tokens, table: this.weights.embedTokens, out: hidden, nTokens });
    this.weights.layers.forEach((layer, i) => {
      const { k, v, capacity } = cache.layers[i]!;
      const rotaryDim = noRopeLayers.includes(i) ? 0 : 2 * ropeTable.shape[1]!;
      rmsNorm(recorder, { x: hidden, weight: layer.inputNorm, out: normed, nRows, dim, eps });
      matmul(recorder, { x: normed, matrix: layer.qkvProj, bias: layer.qkvBias, out: qkv, nRows });
      if (layer.headNorm !== undefined) {
        headNorm(recorder, { qkv, weight: layer.headNorm, nTokens, nHeads, nKvHeads, headDim, eps: headNormEps! });
      }
      ropeKv(recorder, { qkv, table: ropeTable, rotaryDim, state, q, k, v, capacity, ...heads });
      const window = slidingLayers.includes(i) ? slidingWindow : undefined;
      const scale = headDim ** -0.5;
      const cached = { k, v, capacity, state, maxKvLength, window };
      attention(recorder, { q, partials, out: attended, scale, ...cached, ...heads });
      matmul(recorder, { x: attended, matrix: layer.oProj, bias: layer.oBias, out: hidden, nRows, add: true });
      rmsNorm(recorder, { x: hidden, weight: layer.postAttentionNorm, out: normed, nRows, dim, eps });
      matmul(recorder, { x: normed, matrix: layer.gateUpProj, bias: layer.gateUpBias, out: gateUp, nRows });
      siluMul(recorder, { gateUp, out: activated, nTokens, dim: intermediateSize });
      matmul(recorder, { x: activated, matrix: layer.downProj, bias: layer.downBias, out: hidden, nRows, add: true });
    });
  }

  /** Records the final norm and the head for `nRows` of `scratch.hidden`: `scratch.logits` is (nRows, vocabSize). */
  logits(recorder: Recorder, firstRow: number, nRows: number): void {
    const { hiddenSize: dim, rmsNormEps: eps } = this.config;
    const { hidden, normed, logits } = this.scratch;
    rmsNorm(recorder, { x: hidden, weight: this.weights.norm, out: normed, nRows, dim, eps, firstRow });
    matmul(recorder, { x: normed, matrix: this.weights.lmHead, out: logits, nRows });
  }
}
