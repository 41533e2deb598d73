/**
 * What can be chosen when a model is loaded, and which choices make no sense for any model.
 *
 * @module
 */
import type { DownloadProgress } from "../hub/transfer_progress.ts";
import { KV_FORMATS, type KvFormat } from "../kernels/kv_formats.ts";
import type { RopeChoice } from "../model/rope_choice.ts";
import type { LoadProgress, WeightChoice } from "../model/weights.ts";

/** Options of `loadModel`. */
export interface LoadOptions {
  /** How weights are stored on the GPU; `"auto"` keeps the file's own precision. @default {"auto"} */
  readonly weights?: WeightChoice;
  /** How keys and values are stored; `"auto"` is f32 with f32 weights, else f16. @default {"auto"} */
  readonly kvCache?: KvFormat | "auto";
  /** Most tokens of a session. May exceed what the config says. Default: what the config says. */
  readonly contextLength?: number;
  /**
   * RoPE scaling in place of the model's own: `"none"`, or an object as config.json's `rope_scaling` has it. Where it
   * names no original length, that of the model's own scaling is it, or the config's `max_position_embeddings`.
   */
  readonly ropeScaling?: RopeChoice;
  /** Bytes of GPU memory that the model may take, sessions of full length included. Default: not limited. */
  readonly memoryLimit?: number;
  /** Tokens that one prefill pass takes. Default: 128 on a software adapter, else 512. */
  readonly prefillChunk?: number;
  /**
   * Sequences that decode in one pass at most, from 1 to 64; further ones take turns. Activations are made for so many.
   * @default {16}
   */
  readonly maxBatch?: number;
  /** A device to use; it stays the caller's. Default: the default adapter's. */
  readonly device?: GPUDevice;
  /**
   * Whether a model from the hub is kept in the hub's cache on disk, and taken from there. Without it, its weights go
   * by HTTP ranges straight to the GPU, as they do from any address and in a browser. @default {true}
   */
  readonly cache?: boolean;
  /** Told how far download and load have come. */
  readonly onProgress?: (progress: LoadProgress | DownloadProgress) => void;
  /** Aborting ends the load; it then throws the signal's reason and leaves nothing on the GPU. */
  readonly signal?: AbortSignal;
}

/** Options of `Model.reload`. */
export interface ReloadOptions {
  /** A device to use; needed where the model was loaded on one of the caller's. Default: the default adapter's. */
  readonly device?: GPUDevice;
  /** Told how far download and load have come. */
  readonly onProgress?: (progress: LoadProgress | DownloadProgress) => void;
  /** Aborting ends the load; the model can then be reloaded again. */
  readonly signal?: AbortSignal;
}

/** Largest `maxBatch`: further sequences gain nothing from one pass, and every one adds dispatches to it. */
const MOST_BATCH = 64;

/**
 * Refuses options that no model can be loaded with.
 *
 * @throws {RangeError} With the first of them.
 */
export function checkOptions(options: LoadOptions): void {
  for (const name of ["contextLength", "memoryLimit", "prefillChunk"] as const) {
    const value = options[name];
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 1)) {
      throw new RangeError(`Cannot load with ${name} ${value}: expected an integer of at least 1`);
    }
  }
  const { maxBatch } = options;
  if (maxBatch !== undefined && !(Number.isSafeInteger(maxBatch) && maxBatch >= 1 && maxBatch <= MOST_BATCH)) {
    throw new RangeError(`Cannot load with maxBatch ${maxBatch}: expected an integer from 1 to ${MOST_BATCH}`);
  }
  const choices = { weights: ["auto", "f32", "f16", "q8", "q4"], kvCache: ["auto", ...KV_FORMATS] } as const;
  for (const name of ["weights", "kvCache"] as const) {
    const value = options[name];
    if (value !== undefined && !(choices[name] as readonly string[]).includes(value)) {
      throw new RangeError(`Cannot load with ${name} "${value}": expected one of ${choices[name].join(", ")}`);
    }
  }
}
