/**
 * What the hub's cache on disk holds, and how to free it.
 *
 * @module
 */
import { ggufParts } from "../checkpoint/checkpoint_files.ts";
import { WEIGHT_FORMS } from "../checkpoint/checkpoint_files.ts";
import { absent, filesBelow, ModelCache } from "./hub_cache.ts";
import { formatModelId, type ModelId } from "./model_id.ts";

/** A model in the cache. */
export interface CachedModel {
  /** Its id, with revision and file as `loadModel` takes it. */
  readonly id: string;
  /** The commit; undefined where only parts of contents are there. */
  readonly commit: string | undefined;
  /** Bytes on disk. */
  readonly bytes: number;
  /** Whether it can be loaded without the hub. */
  readonly isComplete: boolean;
}

/** All models in a cache, those of other programs included. */
export async function listCache(cache: string): Promise<CachedModel[]> {
  const found: CachedModel[] = [];
  const names: string[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(cache)) {
      if (isDirectory && /^models--[^-].*--/.test(name)) names.push(name);
    }
  } catch (error) {
    absent(error);
  }
  for (const name of names.sort()) {
    const repository = name.slice("models--".length).replace("--", "/");
    found.push(...await listModel(new ModelCache(cache, repository), repository));
  }
  return found;
}

async function listModel(model: ModelCache, repository: string): Promise<CachedModel[]> {
  const refs = new Map<string, string>();
  for (const ref of await filesBelow(`${model.folder}/refs`)) {
    const commit = await model.commitOf(ref);
    if (commit !== undefined) refs.set(commit, refs.get(commit) === "main" ? "main" : ref);
  }
  const rows: CachedModel[] = [];
  for (const commit of await folders(`${model.folder}/snapshots`)) {
    const revision = refs.get(commit) ?? commit;
    const files = await filesBelow(model.snapshot(commit));
    const row = async (file: string | undefined, own: readonly string[]): Promise<void> => {
      const id: ModelId = { repository, revision, file };
      const isComplete = await model.completeModel(id, commit) !== undefined;
      const sizes = await Promise.all(own.map((each) => sizeOf(`${model.snapshot(commit)}/${each}`)));
      rows.push({ id: formatModelId(id), commit, bytes: sizes.reduce((sum, size) => sum + size, 0), isComplete });
    };
    const ggufFiles = files.filter((file) => file.endsWith(".gguf"));
    const others = files.filter((file) => !ggufFiles.includes(file));
    if (ggufFiles.length === 0 || WEIGHT_FORMS.some(({ file }) => files.includes(file))) await row(undefined, others);
    for (const file of ggufFiles) await row(file, [file]);
  }
  const parts = (await filesBelow(`${model.folder}/blobs`)).filter((file) => file.endsWith(".incomplete"));
  if (rows.length === 0 && parts.length > 0) {
    const sizes = await Promise.all(parts.map((part) => sizeOf(`${model.folder}/blobs/${part}`)));
    rows.push({
      id: repository,
      commit: undefined,
      bytes: sizes.reduce((sum, size) => sum + size, 0),
      isComplete: false,
    });
  }
  return rows;
}

/**
 * Removes a model from a cache: all of it, or one revision, or one file; contents go with the last that shows them.
 *
 * @param isWhole True to remove all revisions and what is left of downloads.
 * @returns Bytes that are free now; undefined where there is nothing of the model.
 */
export async function removeFromCache(cache: string, id: ModelId, isWhole: boolean): Promise<number | undefined> {
  const model = new ModelCache(cache, id.repository);
  const before = await diskBytes(model.folder);
  if (before === undefined) return undefined;
  if (isWhole && id.file === undefined) {
    // What could be taken for a model goes first, so that a removal which is killed leaves none.
    for (const part of ["refs", "snapshots", ""]) await remove(`${model.folder}/${part}`);
    return before;
  }
  const commit = await model.commitOf(id.revision);
  const snapshot = commit === undefined ? undefined : model.snapshot(commit);
  if (snapshot === undefined) return undefined;
  const paths = id.file === undefined ? [snapshot] : ggufParts(id.file).map((part) => `${snapshot}/${part}`);
  const found = await Promise.all(paths.map((path) => Deno.lstat(path).catch(absent)));
  if (found.every((info) => info === undefined)) return undefined;
  if (id.file === undefined) await remove(`${model.folder}/refs/${id.revision}`);
  for (const path of paths) await remove(path);
  await removeUnshown(model);
  return before - (await diskBytes(model.folder) ?? 0);
}

/** Removes contents that no commit shows any more. */
async function removeUnshown(model: ModelCache): Promise<void> {
  const shown = new Set<string>();
  for (const file of await filesBelow(`${model.folder}/snapshots`)) {
    const target = await Deno.readLink(`${model.folder}/snapshots/${file}`).catch(() => undefined);
    if (target !== undefined) shown.add(target.split(/[\\/]/).at(-1)!);
  }
  for (const blob of await filesBelow(`${model.folder}/blobs`)) {
    if (!shown.has(blob) && !blob.endsWith(".incomplete")) await remove(`${model.folder}/blobs/${blob}`);
  }
}

/** Bytes of all files below a folder, each file once; undefined where there is no folder. */
async function diskBytes(folder: string): Promise<number | undefined> {
  if (await Deno.stat(folder).catch(absent) === undefined) return undefined;
  const sizes = new Map<string, number>();
  for (const file of await filesBelow(folder)) {
    const info = await Deno.lstat(`${folder}/${file}`);
    if (info.isFile) sizes.set(info.ino === null ? file : `${info.dev}:${info.ino}`, info.size);
  }
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

async function folders(path: string): Promise<string[]> {
  const found: string[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(path)) if (isDirectory) found.push(name);
  } catch (error) {
    absent(error);
  }
  return found.sort();
}

async function sizeOf(path: string): Promise<number> {
  return (await Deno.stat(path).catch(absent))?.size ?? 0;
}

async function remove(path: string): Promise<void> {
  await Deno.remove(path, { recursive: true }).catch(absent);
}
