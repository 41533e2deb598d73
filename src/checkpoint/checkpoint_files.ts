/**
 * Names of the files that make up a checkpoint in Hugging Face's form.
 *
 * @module
 */
import { parseIndex } from "../../wasm/mod.ts";
import { asFormatError, type WeightFileFormat } from "./header.ts";

/** The config, without which a directory holds no model. */
export const CONFIG_FILE = "config.json";

/** Files beside the weights that are read where they are there. */
export const SMALL_FILES: readonly string[] = [
  CONFIG_FILE,
  "generation_config.json",
  "tokenizer.json",
  "tokenizer.model",
  "tokenizer_config.json",
  "chat_template.jinja",
];

/** A way to store weights, told by one file. */
export interface WeightForm {
  /** The file: the weights themselves, or an index of their shards. */
  readonly file: string;
  /** Format of the weights. */
  readonly format: WeightFileFormat;
  /** Whether the file is an index. */
  readonly isIndex: boolean;
}

/** Forms in the order of preference: what needs no pickle comes first. */
export const WEIGHT_FORMS: readonly WeightForm[] = [
  { file: "model.safetensors", format: "safetensors", isIndex: false },
  { file: "model.safetensors.index.json", format: "safetensors", isIndex: true },
  { file: "pytorch_model.bin", format: "torch", isIndex: false },
  { file: "pytorch_model.bin.index.json", format: "torch", isIndex: true },
];

/**
 * Names of the files that a GGUF file is split into, in order, by the name of any of them: llama.cpp calls them
 * NAME-00001-of-00003.gguf. Of a file that is whole, its own.
 */
export function ggufParts(file: string): string[] {
  const [, stem, number, count] = /^(.+-)(\d{5})-of-(\d{5})\.gguf$/.exec(file) ?? [];
  if (!(Number(number) >= 1 && Number(number) <= Number(count))) return [file];
  return Array.from({ length: Number(count) }, (_, i) => `${stem}${String(i + 1).padStart(5, "0")}-of-${count}.gguf`);
}

/** The GGUF models among some files: of a split one, its first part. */
export function ggufModels(files: readonly string[]): string[] {
  return [...new Set(files.filter((file) => file.endsWith(".gguf")).map((file) => ggufParts(file)[0]!))];
}

/** Files of the tensors that an index lists. */
export type WeightMap = Readonly<Record<string, string>>;

/**
 * Reads an index.
 *
 * @throws {FormatError} If it is malformed, or names a file outside of its directory.
 */
export function weightMapOf(index: Uint8Array, indexFile: string): WeightMap {
  try {
    return JSON.parse(parseIndex(index)).weight_map;
  } catch (error) {
    throw asFormatError(error, indexFile);
  }
}

/** The shards of an index, sorted. */
export function shardsOf(map: WeightMap): string[] {
  return [...new Set(Object.values(map))].sort();
}
