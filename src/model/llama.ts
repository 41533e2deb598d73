/**
 * The forward pass of Llama (Touvron et al., 2023) and its relatives, as a recording. Prefill and decode are the same
 * function: a chunk of a prompt is one segment of many tokens, a step of several sequences a segment of one token each.
 *
 * @module
 */
import type { Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { attention } from "../kernels/attention.ts";
import { decodeAttention } from "../kernels/attention_decode.ts";
import { embed } from "../kernels/embed.ts";
import { headNorm } from "../kernels/head_norm.ts";
import { matmul } from "../kernels/matmul.ts";
import { normGatedMatmul, normMatmul } from "../kernels/norm_matmul.ts";
import { ropeKv } from "../kernels/rope_kv.ts";
import type { ModelConfig } from "./config.ts";
import type { KvCache } from "./kv_cache.ts";
import type { Scratch } from "./scratch.ts";
import type { LlamaWeights } from "./weights.ts";

/** Rows of a pass that continue one sequence. */
export interface Segment {
  /** How many tokens. */
  readonly nTokens: number;
  /** Sequence state; its first word is the position of the segment's first token. */
  readonly state: Tensor;
  /** Keys and values of the tokens before; the segment's are added. */
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

  /**
   * Records the layers. What looks at one row alone takes all rows at once, attention takes segment by segment.
   *
   * @param tokens Ids of all rows: (at least nRows) u32.
   * @param segments Of different sequences. Their rows stand one after the other, at most as many as `scratch` is for.
   * Afterwards `scratch.hidden` holds the last hidden rows: (nRows, hiddenSize).
   */
  forward(recorder: Recorder, tokens: Tensor, segments: readonly Segment[]): void {
    const { nHeads, nKvHeads, headDim, rmsNormEps: eps } = this.config;
    const { hidden, normed, qkv, q, attended, softmax, partials, gateUp, activated } = this.scratch;
    const { headNormEps, slidingWindow, slidingLayers, noRopeLayers } = this.config;
    const heads = { nHeads, nKvHeads, headDim };
    let nRows = 0;
    const placed = segments.map((segment) => {
      const firstRow = nRows;
      nRows += segment.nTokens;
      return { ...segment, firstRow };
    });
    embed(recorder, { tokens, table: this.weights.embedTokens, out: hidden, nTokens: nRows });
    this.weights.layers.forEach((layer, i) => {
      const attentionInput = { x: hidden, gain: layer.inputNorm, eps, normed, nRows };
      normMatmul(recorder, { ...attentionInput, matrix: layer.qkvProj, bias: layer.qkvBias, out: qkv });
      if (layer.headNorm !== undefined) {
        headNorm(recorder, { qkv, weight: layer.headNorm, nTokens: nRows, ...heads, eps: headNormEps! });
      }
      const window = slidingLayers.includes(i) ? slidingWindow : undefined;
      const scale = headDim ** -0.5;
      for (const { nTokens, firstRow, state, cache, maxKvLength, ropeTable } of placed) {
        const { k, v, capacity } = cache.layers[i]!;
        const rotaryDim = noRopeLayers.includes(i) ? 0 : 2 * ropeTable.shape[1]!;
        const cached = { state, k, v, capacity, cacheFormat: cache.format, ...heads };
        const rotated = { qkv, table: ropeTable, rotaryDim, ...cached };
        const seen = { out: attended, scale, maxKvLength, window, ...cached };
        if (nTokens === 1) {
          decodeAttention(recorder, { partials, row: firstRow, ...rotated, ...seen });
          continue;
        }
        ropeKv(recorder, { nTokens, firstRow, q, ...rotated });
        attention(recorder, { nTokens, firstRow, q, softmax, ...seen });
      }
      matmul(recorder, { x: attended, matrix: layer.oProj, bias: layer.oBias, out: hidden, nRows, add: true });
      const mlpInput = { x: hidden, gain: layer.postAttentionNorm, eps, normed, gateUp, nRows };
      normGatedMatmul(recorder, { ...mlpInput, matrix: layer.gateUpProj, bias: layer.gateUpBias, out: activated });
      matmul(recorder, { x: activated, matrix: layer.downProj, bias: layer.downBias, out: hidden, nRows, add: true });
    });
  }

  /** Records the final norm and the head for `nRows` of `scratch.hidden`: `scratch.logits` is (nRows, vocabSize). */
  logits(recorder: Recorder, firstRow: number, nRows: number): void {
    this.#head(recorder, this.scratch.hidden, firstRow, nRows);
  }

  /** The same for rows that do not follow one another: row i of `scratch.logits` is that of rows[i]. */
  logitsOf(recorder: Recorder, rows: readonly number[]): void {
    const { hidden, gateUp } = this.scratch;
    if (rows.length === 1) return this.logits(recorder, rows[0]!, 1);
    const bytes = 4 * this.config.hiddenSize;
    // The layers are done with the MLP's rows, which are at least as wide.
    rows.forEach((row, i) => recorder.copy(hidden, row * bytes, gateUp, i * bytes, bytes));
    this.#head(recorder, gateUp, 0, rows.length);
  }

  #head(recorder: Recorder, x: Tensor, firstRow: number, nRows: number): void {
    const { rmsNormEps: eps } = this.config;
    const { normed, logits } = this.scratch;
    const input = { x, firstRow, gain: this.weights.norm, eps, normed, nRows };
    normMatmul(recorder, { ...input, matrix: this.weights.lmHead, out: logits });
  }
}
