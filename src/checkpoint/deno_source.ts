/**
 * Files on disk, through Deno.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import { ggufParts } from "./checkpoint_files.ts";
import { missing, type ModelSource, truncated } from "./source.ts";

/**
 * A source of the files of a directory, or of one file. Needs permission to read that path and nothing else.
 *
 * @param path Path of a directory or of a file.
 * @param name What the model is called in messages. Default the path.
 * @throws {FormatError} If there is nothing at the path.
 */
export async function denoSource(path: string, name: string = path): Promise<ModelSource> {
  let info: Deno.FileInfo;
  try {
    info = await Deno.stat(path);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new FormatError(path, `Cannot find ${path}: expected a directory with a model, or a .gguf file`, {
      cause,
      code: "Missing",
    });
  }
  if (info.isDirectory) return new DiskSource(path, undefined, name);
  const [folder, file] = /^(.*[\\/])?([^\\/]*)$/.exec(path)!.slice(1);
  const parts = ggufParts(file!);
  return parts.length === 1 ? fileSource(path, name) : new DiskSource(folder ?? ".", parts, name);
}

/** A source of one file, which is looked for when it is first read. Needs permission to read it and nothing else. */
export function fileSource(path: string, name: string = path): ModelSource {
  return new DiskSource(path, path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1), name);
}

/** Keeps each file open from its first read on. Reads are done one after the other: they share a file position. */
class DiskSource implements ModelSource {
  readonly name: string;
  readonly #path: string;
  /** The one file that the path is of, or names of files in the folder that it is of. */
  readonly #only: string | readonly string[] | undefined;
  readonly #open = new Map<string, Deno.FsFile>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(path: string, only: string | readonly string[] | undefined, name: string) {
    this.name = name;
    this.#path = path;
    this.#only = only;
  }

  async list(): Promise<readonly string[]> {
    if (typeof this.#only === "string") return [this.#only];
    if (this.#only !== undefined) return this.#only;
    const names: string[] = [];
    for await (const entry of Deno.readDir(this.#path)) if (!entry.isDirectory) names.push(entry.name);
    return names.sort();
  }

  async size(file: string): Promise<number> {
    return (await (await this.#file(file)).stat()).size;
  }

  read(file: string, begin: number, end: number, into?: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    const result = this.#turn.then(() => this.#read(file, begin, end, into));
    this.#turn = result.catch(() => {});
    return result;
  }

  close(): void {
    for (const file of this.#open.values()) file.close();
    this.#open.clear();
  }

  async #read(
    file: string,
    begin: number,
    end: number,
    into?: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const handle = await this.#file(file);
    // A file that is too short is refused before memory is taken for what it does not have.
    const { size } = await handle.stat();
    if (end > size) throw truncated(file, size, end);
    const bytes = into?.subarray(0, end - begin) ?? new Uint8Array(end - begin);
    await handle.seek(begin, Deno.SeekMode.Start);
    for (let filled = 0; filled < bytes.length;) {
      const count = await handle.read(bytes.subarray(filled));
      if (count === null) throw truncated(file, begin + filled, end);
      filled += count;
    }
    return bytes;
  }

  async #file(file: string): Promise<Deno.FsFile> {
    let handle = this.#open.get(file);
    if (handle === undefined) {
      try {
        const isFile = typeof this.#only === "string";
        if (!isFile) await this.#requireInside(file);
        handle = await Deno.open(isFile ? this.#path : `${this.#path}/${file}`, { read: true });
      } catch (cause) {
        if (!(cause instanceof Deno.errors.NotFound)) throw cause;
        throw missing(file, this.name, { cause });
      }
      this.#open.set(file, handle);
    }
    return handle;
  }

  /** A folder from a stranger may have links to files that are none of the model's. */
  async #requireInside(file: string): Promise<void> {
    const path = `${this.#path}/${file}`;
    if (!(await Deno.lstat(path)).isSymlink) return;
    const [target, folder] = await Promise.all([Deno.realPath(path), Deno.realPath(this.#path)]);
    // The hub's cache has a model's files as links to its contents.
    const [, cached] = /^(.*[\\/])snapshots[\\/][^\\/]+$/.exec(folder) ?? [];
    const isIn = (root: string) => /^[\\/]/.test(target.slice(root.length)) && target.startsWith(root);
    if (isIn(folder) || (cached !== undefined && isIn(`${cached}blobs`))) return;
    throw new FormatError(
      file,
      `Cannot read ${file} of ${this.name}: it is a link out of the folder; put the file there`,
      {
        code: "Link",
      },
    );
  }
}
