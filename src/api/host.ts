/**
 * What Skein asks of the program around it, beside WebGPU: files by name. Deno has a disk, a browser has the web and no
 * disk; everything else in this folder and below runs in both.
 *
 * @module
 */
import type { ModelSource } from "../checkpoint/source.ts";

/** Files by name. */
export interface Host {
  /**
   * The files of a model that is named by a string: a path, or what else the host knows models by.
   *
   * @throws {FormatError} If there is no model of that name.
   */
  openModel(name: string): Promise<ModelSource>;
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
}
