/**
 * Hugging Face's own cache on disk, so that a model is downloaded once for all programs:
 *
 *     models--org--name/blobs/HASH             contents, each whole and checked; HASH.incomplete while it comes
 *     models--org--name/snapshots/COMMIT/PATH  links to contents
 *     models--org--name/refs/REVISION          the commit that a branch or tag stood for
 *     .locks/models--org--name/HASH.lock       who downloads a content
 *
 * @module
 */
import {
  CONFIG_FILE,
  ggufModels,
  ggufParts,
  shardsOf,
  WEIGHT_FORMS,
  weightMapOf,
} from "../checkpoint/checkpoint_files.ts";
import { pause } from "../checkpoint/retry.ts";
import type { HubFile } from "./hub_api.ts";
import { isCommit, type ModelId } from "./model_id.ts";

/** One model's part of the cache. */
export class ModelCache {
  /** Folder of the model. */
  readonly folder: string;
  readonly #locks: string;

  /** @param cache Folder of all models. */
  constructor(cache: string, repository: string) {
    const name = `models--${repository.replace("/", "--")}`;
    this.folder = `${cache}/${name}`;
    this.#locks = `${cache}/.locks/${name}`;
  }

  /** Path of a content. */
  blob({ hash }: HubFile): string {
    return `${this.folder}/blobs/${hash.hex}`;
  }

  /** Folder of a commit's files. */
  snapshot(commit: string): string {
    return `${this.folder}/snapshots/${commit}`;
  }

  /** The commit that a revision last stood for; undefined where that is not known. */
  async commitOf(revision: string): Promise<string | undefined> {
    if (isCommit(revision)) return revision;
    const text = (await Deno.readTextFile(`${this.folder}/refs/${revision}`).catch(absent))?.trim();
    return text !== undefined && isCommit(text) ? text : undefined;
  }

  /**
   * Path of a model that is complete: of its folder, or of the GGUF file that is named.
   *
   * @returns undefined where a file that it takes is missing.
   */
  async completeModel(id: ModelId, commit: string): Promise<string | undefined> {
    const snapshot = this.snapshot(commit);
    const has = async (file: string) => (await Deno.stat(`${snapshot}/${file}`).catch(absent))?.isFile === true;
    const ofGguf = async (file: string) => {
      const parts = ggufParts(file);
      return (await Promise.all(parts.map(has))).every(Boolean) ? `${snapshot}/${parts[0]}` : undefined;
    };
    if (id.file !== undefined) return await ofGguf(id.file);
    const files = await filesBelow(snapshot);
    const form = WEIGHT_FORMS.find(({ file }) => files.includes(file));
    if (form === undefined) {
      const gguf = ggufModels(files);
      return gguf.length === 1 ? await ofGguf(gguf[0]!) : undefined;
    }
    if (!await has(form.file)) return undefined;
    const shards = form.isIndex
      ? shardsOf(weightMapOf(await Deno.readFile(`${snapshot}/${form.file}`), form.file))
      : [form.file];
    const isThere = await Promise.all([CONFIG_FILE, ...shards].map(has));
    const hasTokenizer = files.some((file) => /^tokenizer\.(json|model)$/.test(file));
    return isThere.every(Boolean) && hasTokenizer ? snapshot : undefined;
  }

  /** Runs an action that no other process runs for the same content, unless this one died. */
  async withLock<T>({ hash }: HubFile, action: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await Deno.mkdir(this.#locks, { recursive: true });
    using file = await Deno.open(`${this.#locks}/${hash.hex}.lock`, { create: true, read: true, write: true });
    while (!await file.tryLock(true)) await pause(100, signal);
    return await action();
  }

  /** Puts a content into a commit's folder, under its path. */
  async link(commit: string, file: HubFile): Promise<void> {
    const path = `${this.snapshot(commit)}/${file.path}`;
    // A path of a commit has one content for ever, so that only a file cut short can be wrong.
    if ((await Deno.stat(path).catch(absent))?.size === file.size) return;
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    // Made beside and renamed, so that what stood there is replaced at once or not at all.
    const beside = `${path}.${crypto.randomUUID()}.incomplete`;
    try {
      await this.#make(beside, file);
      await Deno.rename(beside, path);
    } catch (error) {
      await Deno.remove(beside).catch(() => {});
      throw error;
    }
  }

  /** Notes which commit a revision stands for. */
  async writeRef(revision: string, commit: string): Promise<void> {
    if (isCommit(revision) || await this.commitOf(revision) === commit) return;
    const path = `${this.folder}/refs/${revision}`;
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    const beside = `${path}.${crypto.randomUUID()}.incomplete`;
    await Deno.writeTextFile(beside, commit);
    await Deno.rename(beside, path);
  }

  /** A link where that is allowed; else another name of the same file, else a copy. */
  async #make(path: string, file: HubFile): Promise<void> {
    const depth = file.path.split("/").length + 1;
    try {
      await Deno.symlink(`${"../".repeat(depth)}blobs/${file.hash.hex}`, path, { type: "file" });
      return;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) throw error;
    }
    await Deno.link(this.blob(file), path).catch(() => Deno.copyFile(this.blob(file), path));
  }
}

/** Paths of all files below a folder, links to files included; none where there is no folder. */
export async function filesBelow(folder: string, prefix: string = ""): Promise<string[]> {
  const found: string[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      if (isDirectory) found.push(...await filesBelow(`${folder}/${name}`, `${prefix}${name}/`));
      else found.push(prefix + name);
    }
  } catch (error) {
    absent(error);
  }
  return found.sort();
}

/** Nothing, for an error that says that there is nothing. */
export function absent(error: unknown): undefined {
  if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return undefined;
  throw error;
}
