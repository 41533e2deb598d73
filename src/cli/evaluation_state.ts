/**
 * `--resume`: what the windows of an evaluation gave so far, in a file.
 *
 * @module
 */
import { hashOf, sourceFingerprint } from "../checkpoint/source_fingerprint.ts";
import type { EvalDocument } from "../eval/documents.ts";
import type { WindowRecords } from "../eval/perplexity.ts";
import { openSource } from "./loading.ts";
import { UsageError } from "./options.ts";
import { WholeFile } from "./whole_file.ts";

/** What the file says it is. */
const FORMAT = "skein evaluation 1";

/** Milliseconds between two writes at least: a window may take less than writing all of them. */
const PERIOD = 2000;

/** What windows belong to, each as a hash. */
export interface EvaluationIdentity {
  /** The checkpoint, and how its weights and cache are stored. */
  readonly model: string;
  /** All token ids. */
  readonly documents: string;
  /** How documents are cut into windows. */
  readonly method: string;
}

/** See the module's description. */
export class EvaluationState implements WindowRecords {
  readonly #file: WholeFile;
  readonly #identity: EvaluationIdentity;
  readonly #rows: Map<string, (readonly number[])[]>;
  #writtenAt = performance.now();
  #dirty = false;

  private constructor(file: WholeFile, identity: EvaluationIdentity, rows: Map<string, (readonly number[])[]>) {
    this.#file = file;
    this.#identity = identity;
    this.#rows = rows;
  }

  /**
   * Opens a state, or begins one where there is no file.
   *
   * @throws {UsageError} If the file is none, or belongs to another model, other documents or another method.
   */
  static async open(path: string, identity: EvaluationIdentity): Promise<EvaluationState> {
    const file = await WholeFile.at("--resume", path);
    const text = await file.read();
    const rows = text === undefined ? new Map() : readRows(path, text, identity);
    return new EvaluationState(file, identity, rows);
  }

  /** Windows that are known. */
  get windows(): number {
    return [...this.#rows.values()].reduce((sum, windows) => sum + windows.length, 0);
  }

  /** As `WindowRecords` says. */
  of(row: string): readonly (readonly number[])[] {
    return this.#rows.get(row) ?? [];
  }

  /** As `WindowRecords` says; written from time to time. */
  async add(row: string, sums: readonly number[]): Promise<void> {
    const windows = this.#rows.get(row);
    if (windows === undefined) this.#rows.set(row, [sums]);
    else windows.push(sums);
    this.#dirty = true;
    if (performance.now() - this.#writtenAt >= PERIOD) await this.flush();
  }

  /** Writes what is not written yet. */
  async flush(): Promise<void> {
    if (!this.#dirty) return;
    await this.#file.write(
      `${JSON.stringify({ format: FORMAT, ...this.#identity, rows: Object.fromEntries(this.#rows) })}\n`,
    );
    this.#dirty = false;
    this.#writtenAt = performance.now();
  }
}

function readRows(path: string, text: string, identity: EvaluationIdentity): Map<string, (readonly number[])[]> {
  const refuse = (reason: string): never => {
    throw new UsageError(`Cannot resume from ${JSON.stringify(path)}: ${reason}`);
  };
  let state: Record<string, unknown> = {};
  try {
    state = JSON.parse(text) ?? {};
  } catch {
    refuse("it is not JSON, so that no evaluation wrote it");
  }
  if (state.format !== FORMAT) refuse(`it is no state of an evaluation, expected format "${FORMAT}"`);
  const others = { model: "another model", documents: "other documents", method: "another method" } as const;
  for (const part of ["model", "documents", "method"] as const) {
    if (state[part] !== identity[part]) refuse(`it was written for ${others[part]}; name another file to start anew`);
  }
  const isSums = (sums: unknown) => Array.isArray(sums) && sums.every((sum) => typeof sum === "number");
  const rows = Object.entries((state.rows ?? {}) as Record<string, unknown>);
  for (const [row, windows] of rows) {
    if (!Array.isArray(windows) || !windows.every(isSums)) refuse(`row ${JSON.stringify(row)} holds no numbers`);
  }
  return new Map(rows as [string, number[][]][]);
}

/** A hash of a checkpoint and of how it is stored on the GPU. */
export async function modelFingerprint(source: string, storage: readonly string[]): Promise<string> {
  const files = await openSource(source);
  try {
    return await sourceFingerprint(files, storage);
  } finally {
    files.close();
  }
}

/** A hash of documents: their token ids. */
export function documentsFingerprint(documents: readonly EvalDocument[]): Promise<string> {
  return hashOf(
    documents.flatMap(({ tokens }) => [String(tokens.length), new Uint8Array(Uint32Array.from(tokens).buffer)]),
  );
}
