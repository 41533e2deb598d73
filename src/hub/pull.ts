/**
 * Brings a model from the hub into the cache, whole and checked.
 *
 * @module
 */
import { CONFIG_FILE, shardsOf, weightMapOf } from "../checkpoint/checkpoint_files.ts";
import { requireDiskSpace } from "../checkpoint/whole_file.ts";
import { DownloadError, FormatError } from "../errors.ts";
import { chooseFiles } from "./choose_files.ts";
import { downloadFile } from "./download_file.ts";
import { explain, fetchRevision, fileUrl, type HubFile, hubHeaders } from "./hub_api.ts";
import { absent, ModelCache } from "./hub_cache.ts";
import type { HubEnvironment } from "./hub_environment.ts";
import { formatModelId, isCommit, type ModelId } from "./model_id.ts";
import { type DownloadProgress, TransferProgress } from "./transfer_progress.ts";

/** Options of `pullModel`. */
export interface PullOptions {
  /** Told how far it is. */
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
  /** Stops; what was fetched stays, and another run goes on with it. */
  readonly signal?: AbortSignal | undefined;
  /** Called with the content of config.json before the weights are fetched; what it throws ends the download. */
  readonly checkConfig?: ((config: string) => void) | undefined;
  /** Bytes of one request. Default 8 MiB. */
  readonly segmentBytes?: number | undefined;
}

/** A model in the cache. */
export interface PulledModel {
  /** Path of its folder, or of its GGUF file. */
  readonly path: string;
  /** The commit that its files are of. */
  readonly commit: string;
  /** False where all of it was in the cache. */
  readonly isNew: boolean;
}

/** Files at a time that are so small that one request fetches each. */
const MOST_SMALL_FILES = 8;

/**
 * Makes sure that the cache has a model. Asks the hub what its revision stands for, unless that is a commit which the
 * cache has; falls back on what the cache has where the hub cannot be reached.
 *
 * @throws {DownloadError} If it is neither in the cache nor to be had.
 * @throws {FormatError} If it is no model that Skein runs.
 */
export async function pullModel(id: ModelId, hub: HubEnvironment, options: PullOptions = {}): Promise<PulledModel> {
  const cache = new ModelCache(hub.cache, id.repository);
  const known = await cache.commitOf(id.revision);
  const path = known === undefined ? undefined : await cache.completeModel(id, known);
  const cached = known === undefined || path === undefined ? undefined : { path, commit: known, isNew: false };
  if (cached !== undefined && (isCommit(id.revision) || hub.isOffline || !await mayConnect(hub))) return cached;
  if (hub.isOffline) {
    throw new DownloadError(
      "Offline",
      `Cannot load ${formatModelId(id)}: HF_HUB_OFFLINE is set and ${hub.cache} does not have all of it`,
    );
  }
  try {
    const { attempts } = hub.retry;
    // Whoever has the model need not wait long for news of it.
    const asked = cached === undefined ? hub : { ...hub, retry: { ...hub.retry, attempts: Math.min(attempts, 2) } };
    const { commit, files } = await fetchRevision(asked, id, options.signal);
    if (cached?.commit === commit) return cached;
    return { path: await new Pull(id, hub, cache, commit, files, options).run(), commit, isNew: true };
  } catch (error) {
    if (cached === undefined || !(error instanceof DownloadError && error.code === "Network")) throw error;
    return cached;
  }
}

/** Whether the hub may be asked without asking the user. */
async function mayConnect({ endpoint }: HubEnvironment): Promise<boolean> {
  return (await Deno.permissions.query({ name: "net", host: new URL(endpoint).host })).state === "granted";
}

/** One commit's way into the cache. */
class Pull {
  readonly #id: ModelId;
  readonly #hub: HubEnvironment;
  readonly #cache: ModelCache;
  readonly #commit: string;
  readonly #files: ReadonlyMap<string, HubFile>;
  readonly #options: PullOptions;
  readonly #progress: TransferProgress;

  constructor(
    id: ModelId,
    hub: HubEnvironment,
    cache: ModelCache,
    commit: string,
    files: readonly HubFile[],
    options: PullOptions,
  ) {
    this.#id = id;
    this.#hub = hub;
    this.#cache = cache;
    this.#commit = commit;
    this.#files = new Map(files.map((file) => [file.path, file]));
    this.#options = options;
    this.#progress = new TransferProgress(options.onProgress ?? (() => {}));
  }

  async run(): Promise<string> {
    const { small, weights, parts } = chooseFiles([...this.#files.keys()], this.#id);
    await Deno.mkdir(`${this.#cache.folder}/blobs`, { recursive: true });
    const first = (weights.isIndex ? [...small, weights.file] : small).map((path) => this.#file(path));
    const shards = weights.isIndex ? [] : [...parts, weights.file].map((path) => this.#file(path));
    this.#expect([...first, ...shards]);
    await this.#requireSpace([...first, ...shards]);
    await this.#fetchSmall(first);
    if (weights.isIndex) {
      const index = await Deno.readFile(this.#cache.blob(this.#file(weights.file)));
      shards.push(...shardsOf(weightMapOf(index, weights.file)).map((path) => this.#file(path)));
      this.#expect(shards);
      await this.#requireSpace(shards);
    }
    if (small.includes(CONFIG_FILE)) {
      this.#options.checkConfig?.(await Deno.readTextFile(this.#cache.blob(this.#file(CONFIG_FILE))));
    }
    for (const shard of shards) await this.#fetch(shard);
    // What tells that there are weights comes last: a folder that has it has everything.
    const order = [...small.map((path) => this.#file(path)), ...shards, this.#file(weights.file)];
    for (const file of order) await this.#cache.link(this.#commit, file);
    await this.#cache.writeRef(this.#id.revision, this.#commit);
    const snapshot = this.#cache.snapshot(this.#commit);
    return weights.format === "gguf" ? `${snapshot}/${weights.file}` : snapshot;
  }

  #file(path: string): HubFile {
    const file = this.#files.get(path);
    if (file !== undefined) return file;
    throw new FormatError(
      path,
      `Cannot load ${formatModelId(this.#id)}: its index lists ${path}, which it does not have`,
      {
        code: "Missing",
      },
    );
  }

  #expect(files: readonly HubFile[]): void {
    this.#progress.expect(files.reduce((sum, { size }) => sum + size, 0));
  }

  /** Refuses what the disk has no room for; what was found of it needs none. */
  async #requireSpace(files: readonly HubFile[]): Promise<void> {
    let bytes = 0;
    for (const file of files) {
      const path = this.#cache.blob(file);
      const found = await Deno.stat(path).catch(absent) ?? await Deno.stat(`${path}.incomplete`).catch(absent);
      bytes += Math.max(0, file.size - (found?.size ?? 0));
    }
    await requireDiskSpace(this.#cache.folder, bytes, `download ${formatModelId(this.#id)}`);
  }

  /** Fetches files several at a time; the first failure ends all. */
  async #fetchSmall(files: readonly HubFile[]): Promise<void> {
    const waiting = [...files];
    const work = async () => {
      for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
        await this.#fetch(file).catch((error) => {
          waiting.length = 0;
          throw error;
        });
      }
    };
    const ends = await Promise.allSettled(Array.from({ length: MOST_SMALL_FILES }, work));
    for (const end of ends) if (end.status === "rejected") throw end.reason;
  }

  async #fetch(file: HubFile): Promise<void> {
    const { signal, segmentBytes } = this.#options;
    const path = this.#cache.blob(file);
    const isThere = async () => (await Deno.stat(path).catch(absent))?.size === file.size;
    if (await isThere()) return this.#progress.found(file.size, file.path);
    await this.#cache.withLock(file, async () => {
      if (await isThere()) return this.#progress.found(file.size, file.path);
      await downloadFile({
        url: fileUrl(this.#hub, this.#id, this.#commit, file.path),
        headers: hubHeaders(this.#hub),
        retry: this.#hub.retry,
        file,
        path,
        signal,
        onFound: (count) => this.#progress.found(count, file.path),
        onBytes: (count) => this.#progress.came(count, file.path),
        ...(segmentBytes === undefined ? {} : { segmentBytes }),
      }).catch((error) => {
        throw explain(error, this.#hub, this.#id);
      });
    }, signal);
  }
}
