/**
 * Files on disk, through Deno. The only file of this folder that names it.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
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
  return info.isDirectory ? new DiskSource(path, undefined, name) : fileSource(path, name);
}

/** A source of one file, which is looked for when it is first read. Needs permission to read it and nothing else. */
export function fileSource(path: string, name: string = path): ModelSource {
  return new DiskSource(path, path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1), name);
}

/**
 * Writes a file. An existing one is replaced whole, or not at all; what a process that died left beside it, as
 * `path`.part, is overwritten.
 *
 * @param pieces Its content.
 */
export async function writeWhole(
  path: string,
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<void> {
  const part = `${path}.part`;
  try {
    {
      using file = await Deno.open(part, { write: true, create: true, truncate: true });
      for await (const piece of pieces) {
        for (let written = 0; written < piece.length;) written += await file.write(piece.subarray(written));
      }
      await file.syncData();
    }
    await Deno.rename(part, path);
  } catch (error) {
    await Deno.remove(part).catch(() => {});
    throw error;
  }
}

/** Keeps each file open from its first read on. Reads are done one after the other: they share a file position. */
class DiskSource implements ModelSource {
  readonly name: string;
  readonly #path: string;
  readonly #onlyFile: string | undefined;
  readonly #open = new Map<string, Deno.FsFile>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(path: string, onlyFile: string | undefined, name: string) {
    this.name = name;
    this.#path = path;
    this.#onlyFile = onlyFile;
  }

  async list(): Promise<readonly string[]> {
    if (this.#onlyFile !== undefined) return [this.#onlyFile];
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
        handle = await Deno.open(this.#onlyFile === undefined ? `${this.#path}/${file}` : this.#path, { read: true });
      } catch (cause) {
        if (!(cause instanceof Deno.errors.NotFound)) throw cause;
        throw missing(file, this.name, { cause });
      }
      this.#open.set(file, handle);
    }
    return handle;
  }
}
