/**
 * A loaded Llama with everything that its sequences share: the device, the activations, the rotary table, and the
 * scheduler that says whose turn it is.
 *
 * @module
 */
import type { Gpu } from "../gpu/device.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { ChunkQueue } from "./chunk_queue.ts";
import type { ModelConfig } from "./config.ts";
import type { KvFormat } from "../kernels/kv_formats.ts";
import { Llama } from "./llama.ts";
import type { Rope } from "./rope.ts";
import { RopeTable } from "./rope_table.ts";
import { Scheduler } from "./scheduler.ts";
import { chunkSize, createScratch, stepSize } from "./scratch.ts";
import type { LlamaWeights } from "./weights.ts";

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
  /** Sequences that decode in one pass at most. */
  readonly maxBatch: number;
  /** Ids that end a generation. */
  readonly stopIds: readonly number[];
}

/** See the module's description. */
export class Runtime {
  /** The device. */
  readonly gpu: Gpu;
  /** The model's shape. */
  readonly config: ModelConfig;
  /** The forward pass of chunks. */
  readonly llama: Llama;
  /** The forward pass of decoding steps: the same weights, activations of its own. */
  readonly stepLlama: Llama;
  /** Says whose turn it is. */
  readonly scheduler: Scheduler;
  /** Chunks of prompts that wait. */
  readonly chunks: ChunkQueue;
  /** Storage format of keys and values. */
  readonly kvFormat: KvFormat;
  /** Most tokens that a sequence may have. */
  readonly contextLength: number;
  /** Tokens that one prefill pass takes. */
  readonly prefillChunk: number;
  /** Sequences that decode in one pass at most. */
  readonly maxBatch: number;
  /** Ids that end a generation. */
  readonly stopIds: readonly number[];
  readonly #gone = new AbortController();
  #rope: RopeTable;

  /** Allocates the activations. What it makes is freed with the device. */
  constructor(gpu: Gpu, config: ModelConfig, weights: LlamaWeights, options: RuntimeOptions) {
    const { contextLength, prefillChunk, maxBatch } = options;
    this.gpu = gpu;
    this.config = config;
    this.kvFormat = options.kvFormat;
    this.contextLength = contextLength;
    this.prefillChunk = prefillChunk;
    this.maxBatch = maxBatch;
    this.stopIds = options.stopIds;
    this.llama = new Llama(config, weights, createScratch(gpu, config, chunkSize(prefillChunk, contextLength)));
    this.stepLlama = new Llama(config, weights, createScratch(gpu, config, stepSize(maxBatch, contextLength)));
    this.#rope = new RopeTable(gpu, options.rope, contextLength);
    this.scheduler = new Scheduler(this);
    this.chunks = new ChunkQueue(this);
  }

  /** Cosines and sines, grown with the longest sequence. */
  get rope(): RopeTable {
    return this.#rope;
  }

  /** Aborts when the model is disposed. */
  get gone(): AbortSignal {
    return this.#gone.signal;
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

  /** As `Scheduler.exclusive`. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    return this.scheduler.exclusive(work);
  }

  /** Ends what is under way, with an error that says why. */
  stop(reason: Error): void {
    this.#gone.abort(reason);
    this.scheduler.stop(reason);
  }
}
