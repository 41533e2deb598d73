/**
 * A Llama whose weights were made up on the GPU: right in shape, format and size, and nothing else.
 *
 * @module
 */
import type { Gpu } from "../src/gpu/device.ts";
import { createMatrix, type Matrix } from "../src/gpu/matrix.ts";
import type { ReadRequest } from "../src/gpu/readback.ts";
import type { Recorder } from "../src/gpu/recorder.ts";
import type { Tensor } from "../src/gpu/tensor.ts";
import type { KvFormat } from "../src/kernels/kv_formats.ts";
import { createSelection, select, type Selection } from "../src/kernels/select.ts";
import type { ModelConfig } from "../src/model/config.ts";
import { KvCache } from "../src/model/kv_cache.ts";
import { Llama } from "../src/model/llama.ts";
import { padded } from "../src/model/padding.ts";
import { chunkSize, createScratch, disposeScratch } from "../src/model/scratch.ts";
import { layoutOf, mapSlots, type Slot } from "../src/model/weight_layout.ts";
import { formatOf, type WeightChoice } from "../src/model/weight_plan.ts";
import type { SourceDtype } from "../src/kernels/store_rows.ts";
import { disposeWeights } from "../src/model/weights.ts";

/** Bytes written at once into what is filled. */
const FILL_BYTES = 16 * 2 ** 20;

/** What to make. */
export interface SyntheticOptions {
  /** The shape. */
  readonly config: ModelConfig;
  /** Storage format of the weights. */
  readonly weights: WeightChoice;
  /** Type that the matrices have in the checkpoint, which "auto" keeps. Default BF16. */
  readonly dtype?: SourceDtype;
  /** Storage format of keys and values. */
  readonly kvFormat: KvFormat;
  /** Tokens that the cache has room for. */
  readonly contextLength: number;
  /** Tokens of a prefill pass. */
  readonly prefillChunk: number;
  /** Whether weights and cache get contents: time must not depend on lucky zeros. */
  readonly fill: boolean;
}

/** A Llama on the GPU with one sequence. */
export class SyntheticModel {
  /** Bytes of the weights that one decoded token reads: all but the embedding, of which it reads a row. */
  readonly weightBytes: number;
  readonly #gpu: Gpu;
  readonly #llama: Llama;
  readonly #cache: KvCache;
  readonly #options: SyntheticOptions;
  readonly #selection: Selection;
  readonly #ropeTable: Tensor;
  readonly #state: Tensor;
  readonly #token: Tensor;

  /** Allocates everything. */
  static async create(gpu: Gpu, options: SyntheticOptions): Promise<SyntheticModel> {
    const model = new SyntheticModel(gpu, options);
    await model.#cache.reserve(options.contextLength);
    // The f16 pair 0.5, 1.0, and an f32 near 0.008.
    for (const { k, v } of model.#cache.layers) for (const each of [k, v]) model.#fill(each, 0x3c003800);
    return model;
  }

  private constructor(gpu: Gpu, options: SyntheticOptions) {
    const { config, kvFormat, contextLength, prefillChunk } = options;
    this.#gpu = gpu;
    this.#options = options;
    const matrix = (slot: Slot): Matrix => {
      const format = formatOf(options.dtype ?? "BF16", options.weights, slot.role);
      const made = createMatrix(gpu, slot.label, slot.rows, padded(slot.columns), format);
      // Two f16 of about 0.0055: as scales they keep activations small, as weights they are any.
      for (const { weight, scales } of made.parts) for (const each of [weight, scales]) this.#fill(each, 0x1da31da3);
      return made;
    };
    const vector = (slot: Slot): Tensor => {
      const made = gpu.createTensor(slot.label, "f32", [slot.rows]);
      this.#fill(made, 0x3f800000); // 1.0
      return made;
    };
    const weights = mapSlots(layoutOf(config, false), matrix, vector);
    const bytesOf = ({ parts }: Matrix) =>
      parts.reduce((sum, { weight, scales }) => sum + weight.byteLength + scales.byteLength, 0);
    this.weightBytes = bytesOf(weights.lmHead) + weights.layers.reduce(
      (sum, { qkvProj, oProj, gateUpProj, downProj }) =>
        sum + [qkvProj, oProj, gateUpProj, downProj].reduce((bytes, each) => bytes + bytesOf(each), 0),
      0,
    );
    this.#llama = new Llama(config, weights, createScratch(gpu, config, chunkSize(prefillChunk, contextLength)));
    this.#cache = new KvCache(gpu, config, kvFormat, contextLength, prefillChunk);
    this.#selection = createSelection(gpu, config.vocabSize, 1024);
    this.#ropeTable = gpu.createTensor("rope table", "f32", [contextLength, config.rotaryDim / 2, 2]);
    this.#state = gpu.createTensor("sequence state", "u32", [8]);
    this.#token = gpu.createTensor("next token", "u32", [1]);
  }

  /** Bytes of keys and values that one token reads when `depth` others stand before it. */
  kvBytes(depth: number): number {
    return this.#cache.byteLength * (depth + 1) / this.#options.contextLength;
  }

  /** Records a prefill pass of `nTokens` tokens after `position` others; the last chunk of a prompt also makes logits. */
  prefill(position: number, nTokens: number, withLogits: boolean): Recorder {
    const recorder = this.#gpu.record();
    this.#forward(recorder, this.#llama.scratch.tokens, position, nTokens);
    if (withLogits) this.#llama.logits(recorder, nTokens - 1, 1);
    return recorder;
  }

  /** Records the decoding of one token after `depth` others, greedy selection included. */
  decode(depth: number): Recorder {
    const recorder = this.#gpu.record();
    this.#forward(recorder, this.#token, depth, 1);
    this.#llama.logits(recorder, 0, 1);
    select(recorder, {
      logits: this.#llama.scratch.logits,
      state: this.#state,
      token: this.#token,
      selection: this.#selection,
      nStopIds: 0,
    });
    return recorder;
  }

  /** What the host reads of decoded tokens. */
  get reads(): readonly ReadRequest[] {
    return [this.#state, this.#selection.ring].map((tensor) => ({ tensor }));
  }

  /** Puts the sequence at a position, as if so many tokens had been fed. */
  moveTo(position: number): void {
    this.#gpu.upload(this.#state, Uint32Array.of(position, 0, 0, 0, 0, 0, 0, 0));
  }

  /** Frees everything. */
  [Symbol.dispose](): void {
    disposeWeights(this.#llama.weights);
    disposeScratch(this.#llama.scratch);
    this.#cache.dispose();
    this.#selection.dispose();
    for (const tensor of [this.#ropeTable, this.#state, this.#token]) tensor.dispose();
  }

  #forward(recorder: Recorder, tokens: Tensor, position: number, nTokens: number): void {
    this.#llama.forward(recorder, tokens, [{
      ...{ nTokens, state: this.#state, cache: this.#cache, maxKvLength: position + nTokens },
      ropeTable: this.#ropeTable,
    }]);
  }

  #fill(tensor: Tensor, word: number): void {
    if (!this.#options.fill) return;
    const first = Math.min(FILL_BYTES, tensor.byteLength);
    this.#gpu.upload(tensor, new Uint32Array(first / 4).fill(word));
    const encoder = this.#gpu.device.createCommandEncoder();
    // Doubling what is there costs no traffic to the device; a buffer cannot be copied onto itself, so by a second one.
    using copy = this.#gpu.tensorOf("fill", "u32", [first / 4], new Uint32Array(first / 4).fill(word));
    for (let at = first; at < tensor.byteLength; at += first) {
      encoder.copyBufferToBuffer(copy.buffer, 0, tensor.buffer, at, Math.min(first, tensor.byteLength - at));
    }
    this.#gpu.device.queue.submit([encoder.finish()]);
  }
}
