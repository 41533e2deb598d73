/**
 * Writes a checkpoint's weights as they lie on the GPU, so that the next load neither reads the rest nor converts.
 *
 * A conversion works in a folder beside its goal, which gets its name only when all of it was written and checked. One
 * that was interrupted goes on after the last file that it finished.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { type Checkpoint, openCheckpoint } from "../checkpoint/checkpoint.ts";
import { SMALL_FILES } from "../checkpoint/checkpoint_files.ts";
import { isConverted, LAYOUT } from "../checkpoint/converted.ts";
import { denoSource } from "../checkpoint/deno_source.ts";
import { type ModelSource, readFile } from "../checkpoint/source.ts";
import { sourceFingerprint } from "../checkpoint/source_fingerprint.ts";
import { requireDiskSpace, writeWhole } from "../checkpoint/whole_file.ts";
import { FormatError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { disposeMatrix, type Matrix } from "../gpu/matrix.ts";
import { parseConfig } from "../model/config.ts";
import { loadMatrix, type WeightChoice } from "../model/weights.ts";
import { matrixRows } from "./matrix_rows.ts";
import { type OutputFile, type OutputSlot, planOutput, safetensorsHeader, safetensorsIndex } from "./output_plan.ts";

/** How far a conversion is. */
export interface ConversionProgress {
  /** Each file is written, then compared with what the source gives. */
  readonly phase: "convert" | "verify";
  /** Bytes of the output that are done. */
  readonly loaded: number;
  /** Bytes of the output. */
  readonly total: number;
  /** The output file. */
  readonly file: string;
}

/** Options of `convertCheckpoint`. */
export interface ConversionOptions {
  /** How to store the weights. */
  readonly weights: Exclude<WeightChoice, "auto">;
  /** Most bytes of a file. Default 2 GB. */
  readonly shardBytes?: number | undefined;
  /** Told after each matrix. */
  readonly onProgress?: ((progress: ConversionProgress) => void) | undefined;
  /** Stops after a matrix. */
  readonly signal?: AbortSignal | undefined;
}

/** What a conversion wrote. */
export interface ConvertedModel {
  /** The folder. */
  readonly path: string;
  /** Its weight files. */
  readonly files: readonly string[];
  /** Bytes of its weights. */
  readonly bytes: number;
}

/** Names what an unfinished conversion was begun from. */
const IDENTITY_FILE = "conversion.txt";

/**
 * Converts a checkpoint.
 *
 * @param out The folder to write, which must not be there.
 * @throws {FormatError} If the source is no checkpoint in Hugging Face's form, or cannot be stored so.
 * @throws {RangeError} If the folder is there, or what is left of another conversion to it.
 */
export async function convertCheckpoint(
  gpu: Gpu,
  source: ModelSource,
  out: string,
  options: ConversionOptions,
): Promise<ConvertedModel> {
  const checkpoint = await openCheckpoint(source);
  refuseSource(checkpoint);
  const config = parseConfig(checkpoint.config, checkpoint.configFile, checkpoint.generationConfig);
  const { weights, shardBytes = 2e9 } = options;
  const files = planOutput(config, checkpoint, weights, shardBytes);
  if (await Deno.stat(out).then(() => true, () => false)) {
    throw new RangeError(`Cannot convert to ${out}: it is there already; name another folder`);
  }
  const folder = `${out}.incomplete`;
  const identity = await sourceFingerprint(source, ["skein conversion", LAYOUT, weights, String(shardBytes)]);
  await begin(folder, identity, out);

  const work = new Conversion(gpu, checkpoint, folder, files, options);
  await requireDiskSpace(folder, await work.missingBytes(), `convert to ${out}`);
  for (const file of files) await work.write(file);
  await copySmallFiles(source, folder);
  if (files.length > 1) await writeText(`${folder}/model.safetensors.index.json`, safetensorsIndex(files));
  await work.verify();

  await Deno.remove(`${folder}/${IDENTITY_FILE}`);
  await Deno.rename(folder, out);
  return { path: out, files: files.map(({ name }) => name), bytes: work.total };
}

function refuseSource({ format, source, tensors }: Checkpoint): void {
  const refuse = (why: string) => {
    throw new FormatError(source.name, `Cannot convert ${source.name}: ${why}`, { code: "Convert" });
  };
  if (format === "none") refuse("it has a config and no weights");
  if (format === "gguf") refuse("it is a GGUF file, which is stored as it lies on the GPU already; load it as it is");
  if ([...tensors.values()].some(({ dtype }) => isConverted(dtype))) refuse("it was converted already");
}

/** Makes the folder, or finds what an interrupted run of the same conversion left. */
async function begin(folder: string, identity: string, out: string): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  const path = `${folder}/${IDENTITY_FILE}`;
  const found = await Deno.readTextFile(path).catch(() => undefined);
  if (found === identity) return;
  if (
    found !== undefined || (await Array.fromAsync(Deno.readDir(folder))).some(({ name }) => !name.endsWith(".part"))
  ) {
    throw new RangeError(
      `Cannot convert to ${out}: ${folder} is left of a conversion of another model, or to other weights; remove it`,
    );
  }
  await writeText(path, identity);
}

async function copySmallFiles(source: ModelSource, folder: string): Promise<void> {
  const names = await source.list();
  for (const name of SMALL_FILES.filter((each) => names.includes(each))) {
    await writeWhole(`${folder}/${name}`, [await readFile(source, name)]);
  }
}

async function writeText(path: string, text: string): Promise<void> {
  await writeWhole(path, [new TextEncoder().encode(text)]);
}

/** The weights' way from the checkpoint over the GPU into files. */
class Conversion {
  /** Bytes of all tensors. */
  readonly total: number;
  readonly #gpu: Gpu;
  readonly #checkpoint: Checkpoint;
  readonly #folder: string;
  readonly #files: readonly OutputFile[];
  readonly #options: ConversionOptions;
  #done = 0;

  constructor(
    gpu: Gpu,
    checkpoint: Checkpoint,
    folder: string,
    files: readonly OutputFile[],
    options: ConversionOptions,
  ) {
    this.#gpu = gpu;
    this.#checkpoint = checkpoint;
    this.#folder = folder;
    this.#files = files;
    this.#options = options;
    this.total = files.reduce((sum, { slots }) => sum + slots.reduce((bytes, slot) => bytes + bytesOf(slot), 0), 0);
  }

  /** Bytes of tensors that no earlier run has written. */
  async missingBytes(): Promise<number> {
    let bytes = this.total;
    for (const { name, slots } of this.#files) {
      const isThere = await Deno.stat(`${this.#folder}/${name}`).then(() => true, () => false);
      if (isThere) bytes -= slots.reduce((sum, slot) => sum + bytesOf(slot), 0);
    }
    return bytes;
  }

  /** Writes a file, unless an earlier run did. */
  async write(file: OutputFile): Promise<void> {
    const path = `${this.#folder}/${file.name}`;
    if (await Deno.stat(path).then(() => true, () => false)) {
      for (const slot of file.slots) this.#tell("convert", file, slot);
    } else {
      await writeWhole(path, this.#content(file));
    }
  }

  /** Loads what was written and what it was made from, and compares every byte on the GPU. */
  async verify(): Promise<void> {
    this.#done = 0;
    const written = await denoSource(this.#folder);
    try {
      const converted = await openCheckpoint(written);
      for (const file of this.#files) {
        for (const output of file.slots) {
          this.#options.signal?.throwIfAborted();
          if (!await this.#isSame(output, converted)) {
            await Deno.remove(`${this.#folder}/${file.name}`);
            throw new FormatError(
              file.name,
              `Cannot convert to ${file.name}: ${output.slot.label} reads back otherwise than it was written; try again`,
              { code: "Verify" },
            );
          }
          this.#tell("verify", file, output);
        }
      }
    } finally {
      written.close();
    }
  }

  async *#content(file: OutputFile): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    yield safetensorsHeader(file);
    for (const output of file.slots) {
      this.#options.signal?.throwIfAborted();
      yield* output.slot.columns === 0 ? this.#vector(output, this.#checkpoint) : this.#matrix(output);
      this.#tell("convert", file, output);
    }
  }

  async *#matrix({ slot, tensors }: OutputSlot): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const matrix = await this.#load(slot, this.#checkpoint, this.#options.weights);
    try {
      for (const { from: { rowOffset, rows }, part, bytes } of tensors) {
        yield* matrixRows(this.#gpu, matrix, part!, rowOffset, rows, bytes / rows);
      }
    } finally {
      disposeMatrix(matrix);
    }
  }

  /** Vectors are a few kilobytes, and are stored as they are. */
  async *#vector({ tensors }: OutputSlot, { source, tensors: entries }: Checkpoint) {
    for (const { from } of tensors) {
      const { file, begin, end } = entries.get(from.name)!;
      yield await source.read(file, begin, end);
    }
  }

  async #isSame(output: OutputSlot, converted: Checkpoint): Promise<boolean> {
    if (output.slot.columns === 0) {
      return await areEqual(this.#vector(output, this.#checkpoint), this.#vector(output, converted));
    }
    const made = await this.#load(output.slot, this.#checkpoint, this.#options.weights);
    let read: Matrix | undefined;
    try {
      read = await this.#load(output.slot, converted, "auto");
      const all = (matrix: Matrix, part: "weight" | "scales") =>
        matrixRows(this.#gpu, matrix, part, 0, output.slot.rows);
      const formats = (matrix: Matrix) => matrix.parts.map(({ format }) => format).join();
      return formats(read) === formats(made) && await areEqual(all(made, "weight"), all(read, "weight")) &&
        await areEqual(all(made, "scales"), all(read, "scales"));
    } finally {
      disposeMatrix(made);
      if (read !== undefined) disposeMatrix(read);
    }
  }

  #load(slot: OutputSlot["slot"], checkpoint: Checkpoint, weights: WeightChoice): Promise<Matrix> {
    const { signal } = this.#options;
    return loadMatrix(this.#gpu, slot, checkpoint, { weights, ...(signal === undefined ? {} : { signal }) });
  }

  #tell(phase: ConversionProgress["phase"], file: OutputFile, slot: OutputSlot): void {
    this.#done += bytesOf(slot);
    this.#options.onProgress?.({ phase, loaded: this.#done, total: this.total, file: file.name });
  }
}

function bytesOf({ tensors }: OutputSlot): number {
  return tensors.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Whether two rows of pieces, cut alike, hold the same bytes. */
async function areEqual(
  one: AsyncGenerator<Uint8Array<ArrayBuffer>>,
  other: AsyncGenerator<Uint8Array<ArrayBuffer>>,
): Promise<boolean> {
  for await (const bytes of one) {
    const { value, done } = await other.next();
    if (done || Buffer.compare(bytes, value) !== 0) {
      await other.return(undefined);
      return false;
    }
  }
  return (await other.next()).done === true;
}
