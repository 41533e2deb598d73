/**
 * Where a model's files come from: a directory, one file, blobs. A source hands out byte ranges and knows nothing of
 * formats.
 *
 * @module
 */
import { FormatError } from "../errors.ts";

/** Files by name, read by byte range. */
export interface ModelSource {
  /** What the model is called in messages: a path, as the caller gave it. */
  readonly name: string;
  /** Names of the files, sorted. */
  list(): Promise<readonly string[]>;
  /** Bytes of a file. */
  size(file: string): Promise<number>;
  /**
   * Bytes `begin` (inclusive) to `end` (exclusive) of a file.
   *
   * @param into Memory to use instead of new memory, at least `end - begin` bytes; the result is a view of it.
   * @throws {FormatError} If the file ends before `end`.
   */
  read(file: string, begin: number, end: number, into?: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>;
  /** Closes what is open. */
  close(): void;
}

/** Largest file that is read whole: tokenizers and indexes, never weights. */
const LARGEST_TEXT = 2 ** 28;

/** Largest config: parsed, it takes several times its size. */
const LARGEST_JSON = 2 ** 24;

/**
 * A whole file.
 *
 * @param most Bytes that it may have. Default 256 MiB, which no tokenizer, config or index has.
 * @throws {FormatError} If it has more.
 */
export async function readFile(
  source: ModelSource,
  file: string,
  most: number = LARGEST_TEXT,
): Promise<Uint8Array<ArrayBuffer>> {
  const size = await source.size(file);
  if (size > most) {
    throw new FormatError(file, `Cannot read ${file}: it has ${size} bytes, expected at most ${most}`, {
      code: "TooLarge",
    });
  }
  return await source.read(file, 0, size);
}

/**
 * A whole JSON file whose top level is an object.
 *
 * @throws {FormatError} If it is not, or has over 16 MiB.
 */
export async function readJson(source: ModelSource, file: string): Promise<Record<string, unknown>> {
  const bytes = await readFile(source, file, LARGEST_JSON);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new FormatError(file, `Cannot read ${file}: it is not JSON: ${(cause as Error).message}`, {
      cause,
      code: "Malformed",
    });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new FormatError(file, `Cannot read ${file}: its top level is no object`, { code: "Malformed" });
  }
  return value as Record<string, unknown>;
}

/** The error for a file that ends too early. */
export function truncated(file: string, size: number, end: number): FormatError {
  return new FormatError(file, `Cannot read ${file}: it has ${size} bytes, expected at least ${end}`, {
    code: "Truncated",
  });
}

/** A source of blobs, such as the files that somebody picked in a browser. */
export function blobSource(files: ReadonlyMap<string, Blob>, name: string = "the chosen files"): ModelSource {
  const find = (file: string): Blob => {
    const blob = files.get(file);
    if (blob === undefined) throw missing(file, name);
    return blob;
  };
  return {
    name,
    list: () => Promise.resolve([...files.keys()].sort()),
    size: (file) => Promise.resolve(find(file).size),
    read: async (file, begin, end, into) => {
      const blob = find(file);
      if (end > blob.size) throw truncated(file, blob.size, end);
      const bytes = new Uint8Array(await blob.slice(begin, end).arrayBuffer());
      if (into === undefined) return bytes;
      into.set(bytes);
      return into.subarray(0, bytes.length);
    },
    close: () => {},
  };
}

/** The error for a file that is not there. */
export function missing(file: string, name: string, options?: ErrorOptions): FormatError {
  return new FormatError(file, `Cannot find ${file} in ${name}`, { ...options, code: "Missing" });
}
