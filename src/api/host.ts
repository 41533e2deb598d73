/**
 * What Skein asks of the program around it, beside WebGPU: files by name. Deno has a disk, a browser has the web and no
 * disk; everything else in this folder and below runs in both.
 *
 * @module
 */
import type { ModelSource } from "../checkpoint/source.ts";
import type { DownloadProgress } from "../hub/transfer_progress.ts";

/** How a model that is named by a string is opened. */
export interface OpenModelOptions {
  /** Whether what comes from afar is kept, and what was kept is used. Default true. */
  readonly cache?: boolean | undefined;
  /** True where little of it will be read: it is then not fetched whole. Default false. */
  readonly headersOnly?: boolean | undefined;
  /** Told how far a download is. */
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
  /** Ends a download, and all reading from afar. */
  readonly signal?: AbortSignal | undefined;
}

/** Files by name. */
export interface Host {
  /**
   * The files of a model that is named by a string: a path, or what else the host knows models by.
   *
   * @throws {FormatError} If there is no model of that name.
   * @throws {DownloadError} If it cannot be fetched.
   */
  openModel(name: string, options?: OpenModelOptions): Promise<ModelSource>;
  /**
   * A source of the one file at a path.
   *
   * @throws {TypeError} If the host has no files.
   */
  openFile(path: string): ModelSource;
  /**
   * Writes a file. An existing one is replaced whole, or not at all.
   *
   * @throws {TypeError} If the host has no files.
   */
  writeFile(path: string, pieces: AsyncIterable<Uint8Array>): Promise<void>;
  /** Starts `chat/template_worker.ts`. A host without it cannot chat. */
  openTemplateWorker?(): Worker;
  /** Starts `grammar/grammar_worker.ts`. A host without it cannot hold texts to grammars. */
  openGrammarWorker?(): Worker;
}
