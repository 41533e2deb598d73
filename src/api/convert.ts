/**
 * Converting checkpoints.
 *
 * @module
 */
import type { ModelSource } from "../checkpoint/source.ts";
import { type ConversionProgress, convertCheckpoint, type ConvertedModel } from "../convert/conversion.ts";
import { Gpu } from "../gpu/device.ts";
import type { DownloadProgress } from "../hub/transfer_progress.ts";
import { selfTest } from "../kernels/self_test.ts";
import { openNamedModel } from "./named_model.ts";

/** Options of `convertModel`. */
export interface ConvertOptions {
  /** How the weights are stored; f16 leaves bfloat16 as it is, and q4 keeps embedding and head at q8. */
  readonly weights: "f16" | "q8" | "q4";
  /** Most bytes of a weight file. @default {2e9} */
  readonly shardBytes?: number;
  /** Whether a model from the hub is kept in the hub's cache. @default {true} */
  readonly cache?: boolean;
  /** A device to use; it stays the caller's. Default: the default adapter's. */
  readonly device?: GPUDevice;
  /** Told how far download, conversion and check have come. */
  readonly onProgress?: (progress: ConversionProgress | DownloadProgress) => void;
  /** Aborting ends the work; the same call goes on with it later. */
  readonly signal?: AbortSignal;
}

/**
 * Writes a model with its weights quantised as they would be when it is loaded, so that it loads faster, takes less
 * disk, and computes bit for bit the same. What was written is loaded and compared before the folder gets its name.
 *
 * @param source As `loadModel` takes it, but for GGUF files.
 * @param out The folder to write, which must not be there. Needs permission to write it and `out`.incomplete beside it.
 * @throws {FormatError} If the source cannot be converted.
 * @throws {RangeError} If the folder is there.
 */
export async function convertModel(
  source: string | ModelSource,
  out: string,
  options: ConvertOptions,
): Promise<ConvertedModel> {
  const { weights, shardBytes, cache, device, onProgress, signal } = options;
  if (!["f16", "q8", "q4"].includes(weights)) {
    throw new RangeError(`Cannot convert to weights ${JSON.stringify(weights)}: expected f16, q8 or q4`);
  }
  if (shardBytes !== undefined && !(Number.isSafeInteger(shardBytes) && shardBytes >= 1)) {
    throw new RangeError(`Cannot convert with shardBytes ${shardBytes}: expected an integer of at least 1`);
  }
  const files = typeof source === "string" ? await openNamedModel(source, { cache, onProgress, signal }) : source;
  let gpu: Gpu | undefined;
  try {
    gpu = device === undefined ? await Gpu.request() : await Gpu.from(device);
    await selfTest(gpu);
    return await convertCheckpoint(gpu, files, out.replace(/(?<=.)[\\/]+$/, ""), {
      weights,
      shardBytes,
      onProgress,
      signal,
    });
  } finally {
    gpu?.dispose();
    if (typeof source === "string") files.close();
  }
}
