/**
 * The memory plan: what a model will take on the GPU, known before anything is allocated.
 *
 * @module
 */
import { CapacityError } from "../errors.ts";
import type { ModelConfig } from "./config.ts";
import type { KvFormat } from "../kernels/kv_formats.ts";
import { kvCacheBytes, kvRows, maxKvRows } from "./kv_cache.ts";
import { ropeTableBytes } from "./rope_table.ts";
import { decodingBytes } from "./decoding.ts";
import { sequenceBytes } from "./sequence.ts";
import { chunkSize, largestScratchBytes, scratchBytes, stepSize } from "./scratch.ts";

/** Bytes by purpose. */
export interface MemoryPlan {
  /** Storage of the weights, as asked for. */
  readonly weights: string;
  /** Storage of keys and values. */
  readonly kvCache: KvFormat;
  /** Tokens that the plan is for. */
  readonly contextLength: number;
  /** Bytes of all weights, with padding and scales. */
  readonly weightsBytes: number;
  /** Bytes of one sequence's keys and values at full length. */
  readonly kvBytes: number;
  /** Bytes of activations, of the rotary table at full length, and of one sequence's selection. */
  readonly scratchBytes: number;
  /** The three together. */
  readonly totalBytes: number;
  /** Whether it fits; null where the device's memory is not known. */
  readonly fits: boolean | null;
  /** Why it does not fit, or that the device's memory is not known. Empty where it fits. */
  readonly note: string;
}

/** What a plan depends on besides the model's shape. */
export interface PlanInput {
  /** Name of the weight storage. */
  readonly weights: string;
  /** Bytes of the weights in that storage. */
  readonly weightsBytes: number;
  /** Storage of keys and values. */
  readonly kvCache: KvFormat;
  /** Tokens to plan for. */
  readonly contextLength: number;
  /** Tokens that one prefill pass takes. */
  readonly prefillChunk: number;
  /** Sequences that decode in one pass at most. */
  readonly maxBatch: number;
  /** Bytes that one binding may hold, where a device is at hand. */
  readonly maxTensorBytes?: number;
  /** Bytes that may be used, where that is known. */
  readonly memoryLimit?: number;
}

/** Tokens that one prefill pass takes: enough to use the adapter well, few enough that a submit stays short. */
export function defaultPrefillChunk(isSoftware: boolean, contextLength: number): number {
  return Math.min(isSoftware ? 128 : 512, contextLength);
}

/** Sequences that decode in one pass unless asked otherwise: what two tiles of a software adapter's matrix product hold. */
export const DEFAULT_MAX_BATCH = 16;

/** A plan's bytes, for messages about memory. */
export function describePlan({ totalBytes, weightsBytes, kvBytes, scratchBytes, contextLength }: MemoryPlan): string {
  return `the plan is ${totalBytes}: weights ${weightsBytes}, KV cache ${kvBytes} for ${contextLength} tokens, ` +
    `scratch ${scratchBytes}`;
}

/** Plans one model on one device. */
export function planMemory(config: ModelConfig, input: PlanInput): MemoryPlan {
  const { weights, weightsBytes, kvCache, contextLength, prefillChunk, maxBatch, maxTensorBytes, memoryLimit } = input;
  const kvBytes = kvCacheBytes(config, kvCache, contextLength, prefillChunk);
  const scratchSizes = [chunkSize(prefillChunk, contextLength), stepSize(maxBatch, contextLength)];
  const scratch = scratchSizes.reduce((sum, size) => sum + scratchBytes(config, size), 0) +
    ropeTableBytes(config, contextLength) +
    sequenceBytes() + decodingBytes(config.vocabSize, maxBatch);
  const totalBytes = weightsBytes + kvBytes + scratch;
  let fits: boolean | null = true;
  let note = "";
  if (memoryLimit === undefined) {
    fits = null;
    note = "device memory unknown";
  } else if (totalBytes > memoryLimit) {
    fits = false;
    note = `needs ${totalBytes} bytes (weights ${weightsBytes}, KV cache ${kvBytes}, scratch ${scratch}), ` +
      `the limit is ${memoryLimit}`;
  }
  if (maxTensorBytes !== undefined) {
    const most = maxKvRows(config, kvCache, maxTensorBytes);
    const rows = Math.max(...kvRows(config, contextLength, prefillChunk));
    const largest = Math.max(
      ...scratchSizes.map((size) => largestScratchBytes(config, size)),
      ropeTableBytes(config, contextLength),
    );
    if (rows > most) {
      fits = false;
      note = `needs ${rows} tokens in one tensor of keys, this device binds ${maxTensorBytes} bytes: ${most} tokens`;
    } else if (largest > maxTensorBytes) {
      fits = false;
      note = `needs a tensor of ${largest} bytes, this device binds ${maxTensorBytes}`;
    }
  }
  return { weights, kvCache, contextLength, weightsBytes, kvBytes, scratchBytes: scratch, totalBytes, fits, note };
}

/**
 * Refuses a plan that cannot fit.
 *
 * @throws {CapacityError} With the plan's numbers and what would fit.
 */
export function requireFit(plan: MemoryPlan, smaller: string): void {
  if (plan.fits !== false) return;
  throw new CapacityError(
    `Cannot load the model with weights ${plan.weights}, KV cache ${plan.kvCache} and context length ${plan.contextLength}: it ${plan.note}; ${smaller}`,
    { requested: plan.totalBytes, available: 0, unit: "bytes" },
  );
}
