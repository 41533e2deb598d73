/**
 * Models by name, in Deno: a path, an address, or an id on the hub. What is on disk wins, as it does for transformers.
 *
 * @module
 */
import { denoSource } from "../checkpoint/deno_source.ts";
import { httpSource } from "../checkpoint/http_source.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import { DownloadError, FormatError } from "../errors.ts";
import { ModelCache } from "../hub/hub_cache.ts";
import { hubEnvironment } from "../hub/hub_environment.ts";
import { hubSource } from "../hub/hub_source.ts";
import { formatModelId, type ModelId, parseModelId } from "../hub/model_id.ts";
import { type PulledModel, pullModel } from "../hub/pull.ts";
import type { DownloadProgress } from "../hub/transfer_progress.ts";
import { parseConfig } from "../model/config.ts";
import type { OpenModelOptions } from "./host.ts";

/** Options of `pull`. */
export interface PullOptions {
  /** Told how far the download is. */
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
  /** Aborting ends the download; what was fetched stays, and the next one goes on with it. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens the model that a name stands for: fetched into the hub's cache first where all of it will be read.
 *
 * @throws {FormatError} If there is no model of that name.
 * @throws {DownloadError} If it cannot be fetched.
 */
export async function openNamedModel(name: string, options: OpenModelOptions = {}): Promise<ModelSource> {
  const { signal } = options;
  if (/^https?:\/\//i.test(name)) return httpSource(name, signal === undefined ? {} : { signal });
  const id = parseModelId(name);
  if (id === undefined || await isOnDisk(name)) return await denoSource(name);
  try {
    return await openHubModel(name, id, options);
  } catch (error) {
    // A path that was mistyped is not a matter of the hub's.
    if (!(error instanceof DownloadError) || !["NotFound", "Network", "Offline"].includes(error.code)) throw error;
    const { code, status, message } = error;
    throw new DownloadError(code, `${message}; there is no folder ${name} here either`, { status, cause: error });
  }
}

async function openHubModel(name: string, id: ModelId, options: OpenModelOptions): Promise<ModelSource> {
  const { cache = true, headersOnly = false, signal } = options;
  const hub = await hubEnvironment();
  if (cache && !headersOnly) return await denoSource((await pullId(id, options)).path, name);
  const cached = cache ? await cachedPath(id, hub.cache) : undefined;
  if (cached !== undefined) return await denoSource(cached, name);
  if (hub.isOffline) {
    throw new DownloadError("Offline", `Cannot read ${name}: HF_HUB_OFFLINE is set and it is not in ${hub.cache}`);
  }
  return await hubSource(id, hub, signal);
}

/**
 * Fetches a model from the Hugging Face hub into its cache, or makes sure that it is there: each file checked against
 * its hash, none that Skein does not read. Follows HF_HOME, HF_HUB_CACHE, HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE.
 *
 * @param id `ORG/NAME`, `ORG/NAME@REVISION`, or `ORG/NAME/FILE.gguf`.
 * @returns Where it is: `loadModel` takes the path, and the id as well.
 * @throws {DownloadError} If it cannot be had.
 * @throws {FormatError} If it is no model that Skein runs.
 */
export async function pull(id: string, options: PullOptions = {}): Promise<PulledModel> {
  const parsed = parseModelId(id);
  if (parsed === undefined) {
    throw new RangeError(
      `Cannot download ${JSON.stringify(id)}: expected a model's id such as NousResearch/Yarn-Llama-2-7b-64k`,
    );
  }
  return await pullId(parsed, options);
}

/** Whether there is a file or folder of that name that may be read. */
export async function isOnDisk(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    // A name that also reads as an id is taken for one where nobody may look.
    if (error instanceof Deno.errors.NotCapable) return false;
    throw error;
  }
}

async function pullId(id: ModelId, { onProgress, signal }: PullOptions): Promise<PulledModel> {
  return await pullModel(id, await hubEnvironment(), {
    onProgress,
    signal,
    checkConfig: (text) => {
      let config: unknown;
      try {
        config = JSON.parse(text);
      } catch (cause) {
        throw new FormatError(
          "config.json",
          `Cannot read config.json of ${formatModelId(id)}: ${(cause as Error).message}`,
          { cause, code: "Malformed" },
        );
      }
      // Thirteen gigabytes of what cannot be run are not worth fetching.
      if (typeof config === "object" && config !== null) parseConfig(config as Record<string, unknown>);
    },
  });
}

async function cachedPath(id: ModelId, folder: string): Promise<string | undefined> {
  const cache = new ModelCache(folder, id.repository);
  const commit = await cache.commitOf(id.revision);
  return commit === undefined ? undefined : await cache.completeModel(id, commit);
}
