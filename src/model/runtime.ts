/**
 * A loaded Llama with everything that its sequences share: the device, the activations, the rotary table, and the
 * right to use them, which one sequence holds at a time.
 *
 * @module
 */
import type { Gpu } from "../gpu/device.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { ModelConfig } from "./config.ts";
import type { KvFormat } from "../kernels/kv_formats.ts";
import { Llama } from "./llama.ts";
import type { Rope } from "./rope.ts";
import { RopeTable } from "./rope_table.ts";
import { createScratch, disposeScratch, type Scratch } from "./scratch.ts";
import { disposeWeights, type LlamaWeights } from "./weights.ts";

/** Choices that a runtime is made with. */
export interface RuntimeOptions {
  /** The rotary embedding to use, which need not be the config's own. */
  readonly rope: Rope;
  /** Storage format of keys and values. */
  readonly kvFormat: KvFormat;
  /** Most tokens that a sequence may have. */
  readonly contextLength: number;
  /** Tokens that one prefill pass takes. */
  readonly prefillChunk: number;
  /** Ids that end a generation. */
  readonly stopIds: readonly number[];
}

/** See the module's description. */
export class Runtime {
  /** The device. */
  readonly gpu: Gpu;
  /** The model's shape. */
  readonly config: ModelConfig;
  /** The forward pass. */
  readonly llama: Llama;
  /** Storage format of keys and values. */
  readonly kvFormat: KvFormat;
  /** Most tokens that a sequence may have. */
  readonly contextLength: number;
  /** Tokens that one prefill pass takes. */
  readonly prefillChunk: number;
  /** Ids that end a generation. */
  readonly stopIds: readonly number[];
  readonly #weights: LlamaWeights;
  readonly #scratch: Scratch;
  #rope: RopeTable;
  #turn: Promise<unknown> = Promise.resolve();

  /** Takes over the weights; allocates the activations. */
  constructor(gpu: Gpu, config: ModelConfig, weights: LlamaWeights, options: RuntimeOptions) {
    this.gpu = gpu;
    this.config = config;
    this.kvFormat = options.kvFormat;
    this.contextLength = options.contextLength;
    this.prefillChunk = options.prefillChunk;
    this.stopIds = options.stopIds;
    this.#weights = weights;
    this.#scratch = createScratch(gpu, config, options.prefillChunk, options.contextLength);
    this.llama = new Llama(config, weights, this.#scratch);
    this.#rope = new RopeTable(gpu, options.rope, options.contextLength);
  }

  /** Activations. */
  get scratch(): Scratch {
    return this.#scratch;
  }

  /** Cosines and sines, grown with the longest sequence. */
  get rope(): RopeTable {
    return this.#rope;
  }

  /** Rotates by other frequencies from now on. What sequences have cached was rotated by those before. */
  replaceRope(rope: Rope): void {
    this.#rope.dispose();
    this.#rope = new RopeTable(this.gpu, rope, this.contextLength);
  }

  /** The rotary table, at least `length` positions long, for an input of `inputLength` tokens. */
  ropeTable(length: number, inputLength: number): Promise<Tensor> {
    return this.rope.reserve(length, inputLength);
  }

  /**
   * Runs `work` when no other work of this model is under way. A prefill is many submits that share activations, so
   * that two sequences must take turns.
   */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }

  /** Frees weights, activations and table. */
  dispose(): void {
    disposeWeights(this.#weights);
    disposeScratch(this.#scratch);
    this.rope.dispose();
  }
}
