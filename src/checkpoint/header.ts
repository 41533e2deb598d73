/**
 * Reads a weight file's header through the Wasm core: byte ranges in, a table of tensors out.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import { HeaderParser } from "../../wasm/mod.ts";
import type { ModelSource } from "./source.ts";

/** Formats of weight files. */
export type WeightFileFormat = "safetensors" | "torch" | "gguf";

/** Where a tensor lies. */
export interface TensorEntry {
  /** The file that holds it. */
  readonly file: string;
  /** Element or block type, as safetensors or ggml spells it. */
  readonly dtype: string;
  /** Extents, outermost first. */
  readonly shape: readonly number[];
  /** First byte in the file. */
  readonly begin: number;
  /** First byte after it. */
  readonly end: number;
  /** Where the scales of a matrix lie that `convert` stored as two tensors. */
  readonly scales?: { readonly file: string; readonly begin: number; readonly end: number };
}

/** A header that was read. */
export interface Header {
  /** Tensors by name, in the order of the file. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** Keys and values of the file, without long arrays. */
  readonly metadata: Readonly<Record<string, unknown>>;
}

interface Table {
  readonly tensors: readonly (Omit<TensorEntry, "file"> & { readonly name: string })[];
  readonly metadata: Readonly<Record<string, unknown>>;
}

/**
 * Reads one header and hands the parser on, which for a GGUF file can still make the tokenizer.
 *
 * @param use Called with the complete parser, which is freed afterwards.
 * @throws {FormatError} If the file does not follow its format.
 */
export async function readHeader<T>(
  source: ModelSource,
  file: string,
  format: WeightFileFormat,
  use: (parser: HeaderParser) => T,
): Promise<T> {
  const size = await source.size(file);
  let parser: HeaderParser | undefined;
  try {
    parser = new HeaderParser(format, file, size);
    for (let range = parser.wanted(); range !== undefined; range = parser.wanted()) {
      parser.supply(await source.read(file, range[0]!, range[1]!));
    }
    return use(parser);
  } catch (error) {
    throw asFormatError(error, file);
  } finally {
    parser?.free();
  }
}

/** The table of a complete parser. */
export function headerOf(parser: HeaderParser, file: string): Header {
  const table: Table = JSON.parse(parser.finish());
  return {
    tensors: new Map(table.tensors.map(({ name, ...entry }) => [name, { file, ...entry }])),
    metadata: table.metadata,
  };
}

/** The core's errors carry a code and no file; everything else passes through. */
export function asFormatError(error: unknown, file: string): unknown {
  if (error instanceof FormatError || !(error instanceof Error)) return error;
  const { code } = error as Error & { code?: unknown };
  if (typeof code !== "string") return error;
  return new FormatError(file, `Cannot read ${file}: ${error.message}`, { cause: error, code });
}
