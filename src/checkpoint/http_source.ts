/**
 * Files on a web server, read by range: a model goes to the GPU without ever lying on a disk. Runs in browsers too.
 *
 * @module
 */
import { DownloadError, FormatError } from "../errors.ts";
import { HttpStatusError, openRange, publicUrl, type RangeAnswer } from "./byte_range.ts";
import { CONFIG_FILE, ggufParts, shardsOf, SMALL_FILES, WEIGHT_FORMS, weightMapOf } from "./checkpoint_files.ts";
import { PATIENT, type RetryPolicy, TransientError, withRetries } from "./retry.ts";
import { missing, type ModelSource, readFile, truncated } from "./source.ts";

/** Options of `httpSource`. */
export interface HttpSourceOptions {
  /** Names of the files. Default: those of a checkpoint that the server has, each asked for. */
  readonly files?: readonly string[];
  /** Headers of every request to the address's own origin, such as `authorization`; no other origin gets them. */
  readonly headers?: Readonly<Record<string, string>>;
  /** What the model is called in messages. Default: the address. */
  readonly name?: string;
  /** Ends all requests. */
  readonly signal?: AbortSignal;
  /** How long to go on when the network fails. */
  readonly retry?: RetryPolicy;
  /** Says in the words of whoever knows the server why it refuses. Default: its status is told. */
  readonly explain?: (error: unknown) => unknown;
}

/** Requests that one read is split into, so that one connection's pace is not the limit. */
const MOST_REQUESTS = 4;

/** Smallest part of a split read, in bytes. */
const SMALLEST_PART = 2 ** 20;

/**
 * Largest file that is taken whole, and held, from a server that ignores ranges. Such servers are simple ones, and those
 * that compress small texts on the way.
 */
const LARGEST_HELD = 2 ** 25;

/**
 * A source of the files below an address. The server has to honour ranges of files over 32 MiB, and no file may change
 * while it is read.
 *
 * @param url A folder with a checkpoint in Hugging Face's form, such as
 * `https://huggingface.co/ORG/NAME/resolve/main/`, or a `.gguf` file.
 * @throws {TypeError} If it is no http or https address.
 */
export function httpSource(url: string | URL, options: HttpSourceOptions = {}): ModelSource {
  const base = new URL(url);
  if (base.protocol !== "http:" && base.protocol !== "https:") {
    throw new TypeError(`Cannot load from ${base.protocol}: expected an address that begins with https:// or http://`);
  }
  const only = /[^/]\.gguf$/i.test(base.pathname) ? decodeURIComponent(base.pathname.split("/").at(-1)!) : undefined;
  const parts = only === undefined ? [] : ggufParts(only);
  if (parts.length > 1) {
    base.pathname = base.pathname.slice(0, base.pathname.lastIndexOf("/") + 1);
    return new HttpSource(base, { ...options, files: parts }, false);
  }
  if (only === undefined && !base.pathname.endsWith("/")) base.pathname += "/";
  return new HttpSource(base, only === undefined ? options : { ...options, files: [only] }, only !== undefined);
}

/** What is known of a file since its first answer. */
interface RemoteFile {
  readonly size: number;
  readonly validator: string | undefined;
  /** Where the last answer came from, which saves the redirect. */
  url: string;
  /** Its content, where the server sends it only whole. */
  readonly held?: Uint8Array;
}

class HttpSource implements ModelSource {
  readonly name: string;
  readonly #base: URL;
  readonly #isFile: boolean;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #retry: RetryPolicy;
  readonly #explain: (error: unknown) => unknown;
  readonly #closed = new AbortController();
  readonly #signal: AbortSignal;
  readonly #files = new Map<string, Promise<RemoteFile>>();
  #names: Promise<readonly string[]> | undefined;

  constructor(base: URL, options: HttpSourceOptions, isFile: boolean) {
    const { files, headers = {}, name, signal, retry = PATIENT, explain = (error) => error } = options;
    this.name = name ?? publicUrl(base.href);
    this.#base = base;
    this.#isFile = isFile;
    this.#headers = headers;
    this.#retry = retry;
    this.#explain = explain;
    this.#signal = signal === undefined ? this.#closed.signal : AbortSignal.any([signal, this.#closed.signal]);
    if (files !== undefined) this.#names = Promise.resolve([...files].sort());
  }

  list(): Promise<readonly string[]> {
    return this.#names ??= this.#probe();
  }

  async size(file: string): Promise<number> {
    return (await this.#file(file)).size;
  }

  async read(
    file: string,
    begin: number,
    end: number,
    into?: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const remote = await this.#file(file);
    if (end > remote.size) throw truncated(file, remote.size, end);
    const bytes = into?.subarray(0, end - begin) ?? new Uint8Array(end - begin);
    if (remote.held !== undefined) {
      bytes.set(remote.held.subarray(begin, end));
      return bytes;
    }
    const parts = Math.max(1, Math.min(MOST_REQUESTS, Math.floor(bytes.length / SMALLEST_PART)));
    const step = Math.ceil(bytes.length / parts);
    const stop = new AbortController();
    const signal = AbortSignal.any([this.#signal, stop.signal]);
    try {
      await Promise.all(Array.from({ length: parts }, (_, i) => {
        const part = bytes.subarray(i * step, (i + 1) * step);
        return this.#fill(file, remote, begin + i * step, part, signal);
      }));
    } finally {
      stop.abort();
    }
    return bytes;
  }

  close(): void {
    this.#closed.abort(new DOMException(`${this.name} was closed`, "AbortError"));
  }

  /** Reads a range into memory, and goes on where a connection broke. */
  #fill(file: string, remote: RemoteFile, begin: number, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    let filled = 0;
    return withRetries(
      async (progressed) => {
        while (filled < bytes.length) {
          const range = { begin: begin + filled, end: begin + bytes.length };
          const answer = await this.#open(file, remote, range, signal);
          const wanted = (answer.end ?? range.end) - range.begin;
          let got = 0;
          for await (const piece of answer.body) {
            if (got + piece.length > wanted) throw new TransientError(`${this.#where(file)} sends more than asked for`);
            bytes.set(piece, filled);
            filled += piece.length;
            got += piece.length;
            if (64 * got >= SMALLEST_PART) progressed();
          }
          if (got < wanted) throw new TransientError(`${this.#where(file)} ends after ${got} of ${wanted} bytes`);
        }
      },
      `read ${file} of ${this.name}`,
      this.#retry,
      signal,
    );
  }

  async #open(file: string, remote: RemoteFile, range: { begin: number; end: number }, signal: AbortSignal) {
    const answer = await this.#request(remote.url, range, signal).catch(async (error) => {
      // A content network's address is signed for a while only.
      if (!(error instanceof HttpStatusError) || remote.url === this.#address(file)) throw error;
      return await this.#request(this.#address(file), range, signal);
    });
    remote.url = answer.url;
    if (answer.isWhole) {
      await answer.close();
      throw this.#ignoresRanges(file);
    }
    const isChanged = answer.validator !== remote.validator || (answer.total ?? remote.size) !== remote.size;
    if (isChanged) {
      await answer.close();
      throw new DownloadError(
        "Changed",
        `Cannot load ${this.name}: ${file} changed on the server while it was read; load it again`,
      );
    }
    return answer;
  }

  /** Size and state of a file, by a request for its first byte. */
  #file(file: string): Promise<RemoteFile> {
    let known = this.#files.get(file);
    if (known === undefined) {
      known = withRetries(() => this.#first(file), `read ${file} of ${this.name}`, this.#retry, this.#signal);
      this.#files.set(file, known);
      known.catch(() => this.#files.delete(file));
    }
    return known;
  }

  async #first(file: string): Promise<RemoteFile> {
    let answer;
    try {
      answer = await this.#request(this.#address(file), { begin: 0, end: 1 }, this.#signal);
    } catch (error) {
      if (!(error instanceof HttpStatusError)) throw error;
      // There is no first byte of an empty file.
      const empty = error.status === 416 && error.headers.get("content-range") === "bytes */0";
      if (empty) return { size: 0, validator: error.headers.get("etag") ?? undefined, url: this.#address(file) };
      if (error.code === "NotFound") throw missing(file, this.name, { cause: error });
      throw this.#explain(error);
    }
    if (answer.isWhole) return await this.#hold(file, answer);
    await answer.close();
    const size = answer.total ?? await this.#sizeByHead(file);
    return { size, validator: answer.validator, url: answer.url };
  }

  /** Takes all of a small file from a server that ignores ranges. */
  async #hold(file: string, { body, close, total, validator, url }: RangeAnswer): Promise<RemoteFile> {
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    let size = 0;
    if ((total ?? 0) <= LARGEST_HELD) {
      for await (const piece of body) {
        size += piece.length;
        if (size > LARGEST_HELD) break;
        pieces.push(piece.slice());
      }
    }
    await close();
    if (Math.max(size, total ?? 0) > LARGEST_HELD) throw this.#ignoresRanges(file);
    if (size !== (total ?? size)) throw new TransientError(`${this.#where(file)} ends after ${size} of ${total} bytes`);
    return { size, validator, url, held: new Uint8Array(await new Blob(pieces).arrayBuffer()) };
  }

  /** For a browser that is not shown the header which tells the size. */
  async #sizeByHead(file: string): Promise<number> {
    const response = await fetch(this.#address(file), {
      method: "HEAD",
      headers: this.#headers,
      signal: this.#signal,
    });
    const length = response.headers.get("content-length");
    if (!response.ok || length === null) {
      throw new DownloadError("Protocol", `Cannot read ${file} of ${this.name}: the server does not tell its size`);
    }
    return Number(length);
  }

  /** The names of a checkpoint's files that are there. */
  async #probe(): Promise<readonly string[]> {
    const candidates = [...SMALL_FILES, ...WEIGHT_FORMS.map(({ file }) => file)];
    let refusal: unknown;
    const found = (await Promise.all(candidates.map(async (file) => {
      try {
        await this.#file(file);
        return file;
      } catch (error) {
        // Some stores answer 403 for what is not there.
        if (error instanceof HttpStatusError && error.status === 403) refusal = error;
        else if (!(error instanceof FormatError && error.code === "Missing")) throw error;
        return undefined;
      }
    }))).filter((file) => file !== undefined);
    if (!found.includes(CONFIG_FILE) && refusal !== undefined) throw refusal;
    const form = WEIGHT_FORMS.find(({ file }) => found.includes(file));
    if (form?.isIndex) found.push(...shardsOf(weightMapOf(await readFile(this, form.file), form.file)));
    return found.sort();
  }

  #request(url: string, range: { begin: number; end: number }, signal: AbortSignal) {
    const isOwn = new URL(url).origin === this.#base.origin;
    return openRange({ url, ...range, headers: isOwn ? this.#headers : {}, signal }, this.#retry);
  }

  #address(file: string): string {
    if (this.#isFile) return this.#base.href;
    const url = new URL(this.#base);
    url.pathname += file.split("/").map(encodeURIComponent).join("/");
    return url.href;
  }

  #where(file: string): string {
    return publicUrl(this.#address(file));
  }

  #ignoresRanges(file: string): DownloadError {
    return new DownloadError(
      "Protocol",
      `Cannot load ${this.name}: its server sends all of ${file} where a range of it is asked for; download the files`,
    );
  }
}
