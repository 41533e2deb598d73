/**
 * Downloads one content into a file, over several connections, so that it can be killed at any byte.
 *
 * What is on disk is always the beginning of the content: connections ahead of it wait in memory for their turn. Its
 * length alone tells where to go on, as it does for Hugging Face's own programs, which may finish what this one began.
 *
 * @module
 */
import { DownloadError } from "../errors.ts";
import { openRange } from "../checkpoint/byte_range.ts";
import { diskFull, isDiskFull } from "../checkpoint/whole_file.ts";
import { type RetryPolicy, TransientError, withRetries } from "../checkpoint/retry.ts";
import { type ContentHash, contentHash } from "./content_hash.ts";
import { absent } from "./hub_cache.ts";
import type { HubFile } from "./hub_api.ts";

/** What to download, and how. */
export interface FileDownload {
  /** Where from. */
  readonly url: string;
  /** Headers of every request. */
  readonly headers: Readonly<Record<string, string>>;
  /** Its size and hash. */
  readonly file: HubFile;
  /** Where to: the file appears here whole and checked; `path`.incomplete grows until then. */
  readonly path: string;
  /** How long to go on when the network fails. */
  readonly retry: RetryPolicy;
  /** Connections at a time. Default 8. */
  readonly connections?: number;
  /** Bytes of one request; memory is bounded by it times the connections. Default 8 MiB. */
  readonly segmentBytes?: number;
  /** Told how many bytes were found, which comes first. */
  readonly onFound?: (count: number) => void;
  /** Told how many bytes came; negative where all have to come again. */
  readonly onBytes?: (count: number) => void;
  /** Stops; what is on disk stays. */
  readonly signal?: AbortSignal | undefined;
}

/** Memory for the beginning of a file that is hashed again. */
const READ_BYTES = 2 ** 20;

/**
 * Downloads a file, going on with what an earlier run left.
 *
 * @throws {DownloadError} If the network fails for good, or the content is not what its hash says, twice.
 */
export async function downloadFile(download: FileDownload): Promise<void> {
  const { file, path, onFound, onBytes } = download;
  const incomplete = `${path}.incomplete`;
  for (let round = 0;; round++) {
    const prefix = await PrefixFile.open(incomplete, download);
    onFound?.(prefix.length);
    try {
      if (prefix.length < file.size) await new Transfer(download, prefix).run();
      await prefix.sync();
    } finally {
      prefix.close();
    }
    if (prefix.digest() === file.hash.hex) return await Deno.rename(incomplete, path);
    // What was found may have been broken by others; what came fresh is what the server has.
    await Deno.remove(incomplete);
    onBytes?.(-file.size);
    if (round > 0) {
      throw new DownloadError(
        "Checksum",
        `Cannot download ${file.path}: what comes is not what the hub lists, its ${file.hash.algorithm} differs; try again later`,
      );
    }
  }
}

/** A part of a content that one request asks for. */
interface Segment {
  readonly begin: number;
  end: number;
  /** Bytes that came, on disk or waiting. */
  received: number;
  /** Pieces that wait until all before them are on disk. */
  readonly waiting: Uint8Array[];
}

/** Fetches what a file does not hold yet. */
class Transfer {
  readonly #download: FileDownload;
  readonly #prefix: PrefixFile;
  readonly #connections: number;
  readonly #segmentBytes: number;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #finished = Promise.withResolvers<void>();
  /** Segments that are not all on disk, in order; the first one's pieces go there as they come. */
  readonly #window: Segment[] = [];
  #next: number;
  #isAnswered = false;
  #writing: Promise<void> = Promise.resolve();

  constructor(download: FileDownload, prefix: PrefixFile) {
    this.#download = download;
    this.#prefix = prefix;
    this.#connections = download.connections ?? 8;
    this.#segmentBytes = download.segmentBytes ?? 2 ** 23;
    this.#next = prefix.length;
    this.#signal = download.signal === undefined
      ? this.#stop.signal
      : AbortSignal.any([download.signal, this.#stop.signal]);
  }

  async run(): Promise<void> {
    try {
      this.#start();
      await this.#finished.promise;
    } finally {
      this.#stop.abort();
      await this.#writing.catch(() => {});
    }
  }

  #start(): void {
    const end = Math.min(this.#download.file.size, this.#next + this.#segmentBytes);
    const segment: Segment = { begin: this.#next, end, received: 0, waiting: [] };
    this.#next = end;
    this.#window.push(segment);
    const { file, retry } = this.#download;
    withRetries((progressed) => this.#fetch(segment, progressed), `download ${file.path}`, retry, this.#signal)
      .catch(this.#finished.reject);
  }

  #fill(): void {
    const { size } = this.#download.file;
    while (this.#window.length < this.#connections && this.#next < size) this.#start();
    if (this.#window.length === 0) this.#writing.then(this.#finished.resolve, this.#finished.reject);
  }

  async #fetch(segment: Segment, progressed: () => void): Promise<void> {
    const { url, headers, file, retry } = this.#download;
    while (segment.received < segment.end - segment.begin) {
      const begin = segment.begin + segment.received;
      const answer = await openRange({ url, headers, begin, end: segment.end, signal: this.#signal }, retry);
      if ((answer.total ?? file.size) !== file.size) {
        await answer.close();
        throw new TransientError(`the server has ${answer.total} bytes of it, the hub lists ${file.size}`);
      }
      this.#answered(segment, answer.isWhole);
      let at = answer.begin;
      for await (const piece of answer.body) {
        // A server that ignores ranges sends what is there already, and what other requests fetch.
        const fresh = piece.subarray(Math.max(0, segment.begin + segment.received - at), segment.end - at);
        at += piece.length;
        if (fresh.length > 0) await this.#take(segment, fresh);
        if (64 * (segment.begin + segment.received - begin) >= this.#segmentBytes) progressed();
        if (at >= segment.end) return;
      }
      if (at !== answer.end) throw new TransientError(`the server ends it after ${at} of ${file.size} bytes`);
    }
  }

  /** The first answer tells whether the server honours ranges; one that does not is asked for nothing more. */
  #answered(segment: Segment, isWhole: boolean): void {
    if (this.#isAnswered) return;
    this.#isAnswered = true;
    if (isWhole) segment.end = this.#next = this.#download.file.size;
    else this.#fill();
  }

  async #take(segment: Segment, piece: Uint8Array): Promise<void> {
    segment.received += piece.length;
    segment.waiting.push(piece);
    while (this.#window.length > 0) {
      const head = this.#window[0]!;
      for (const waiting of head.waiting.splice(0)) {
        this.#writing = this.#writing.then(() => this.#prefix.append(waiting))
          .then(() => this.#download.onBytes?.(waiting.length));
      }
      if (head.received < head.end - head.begin) break;
      this.#window.shift();
    }
    await this.#writing;
    this.#fill();
  }
}

/** A file that holds the beginning of a content, with the hash of what it holds. */
class PrefixFile {
  readonly #path: string;
  readonly #file: Deno.FsFile;
  readonly #hash: ContentHash;
  /** Bytes that it holds. */
  length: number = 0;

  private constructor(path: string, file: Deno.FsFile, hash: ContentHash) {
    this.#path = path;
    this.#file = file;
    this.#hash = hash;
  }

  /** Opens a file and hashes what it holds; one that is longer than the content begins anew. */
  static async open(path: string, { file, signal }: FileDownload): Promise<PrefixFile> {
    const found = (await Deno.stat(path).catch(absent))?.size ?? 0;
    const handle = await Deno.open(path, { create: true, read: true, write: true, truncate: found > file.size });
    const prefix = new PrefixFile(path, handle, contentHash(file));
    try {
      const memory = new Uint8Array(READ_BYTES);
      for (let count = await handle.read(memory); count !== null; count = await handle.read(memory)) {
        signal?.throwIfAborted();
        prefix.#grow(memory.subarray(0, count));
      }
    } catch (error) {
      handle.close();
      throw error;
    }
    return prefix;
  }

  async append(bytes: Uint8Array): Promise<void> {
    try {
      for (let written = 0; written < bytes.length;) written += await this.#file.write(bytes.subarray(written));
    } catch (error) {
      throw isDiskFull(error) ? diskFull(this.#path, this.length, error) : error;
    }
    this.#grow(bytes);
  }

  sync(): Promise<void> {
    return this.#file.syncData();
  }

  digest(): string {
    return this.#hash.digest();
  }

  close(): void {
    this.#file.close();
  }

  #grow(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.length += bytes.length;
  }
}
