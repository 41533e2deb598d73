/**
 * Opens a checkpoint: finds out which form it has, reads its headers, and says where each tensor lies. No tensor data
 * is read here but the few numbers of a GGUF file that belong to its config.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import { Tokenizer } from "../../wasm/mod.ts";
import { CONFIG_FILE, ggufModels, ggufParts, shardsOf, WEIGHT_FORMS, weightMapOf } from "./checkpoint_files.ts";
import { hasConvertedLayout, joinConverted } from "./converted.ts";
import { readRopeFactors } from "./gguf_rope_factors.ts";
import { asFormatError, headerOf, readHeader, type TensorEntry, type WeightFileFormat } from "./header.ts";
import { type ModelSource, readFile, readJson } from "./source.ts";

export type { TensorEntry } from "./header.ts";

/** A checkpoint whose headers were read. */
export interface Checkpoint {
  /** Where its files come from. */
  readonly source: ModelSource;
  /** Form of its weights; "none" where there is a config and no weights. */
  readonly format: WeightFileFormat | "none";
  /** The file that `config` comes from. */
  readonly configFile: string;
  /** Fields of config.json, or the metadata of a GGUF file, with the numbers of a rope_freqs.weight under its name. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Fields of generation_config.json; empty where there is none. */
  readonly generationConfig: Readonly<Record<string, unknown>>;
  /** Tensors by their names in the files. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /**
   * Makes the tokenizer, which the caller frees.
   *
   * @throws {FormatError} If there is none, or it is malformed.
   */
  tokenizer(): Promise<Tokenizer>;
}

/**
 * Opens the checkpoint that a source holds: a directory in Hugging Face's form, or one GGUF file.
 *
 * @throws {FormatError} If there is no model, or a file of it is missing, truncated or malformed.
 */
export async function openCheckpoint(source: ModelSource): Promise<Checkpoint> {
  const files = await source.list();
  const form = WEIGHT_FORMS.find(({ file }) => files.includes(file));
  const ggufFiles = ggufModels(files);
  if (form === undefined && ggufFiles.length === 1) return await openGguf(source, ggufFiles[0]!, files);
  if (form === undefined && ggufFiles.length > 1) {
    throw new FormatError(
      source.name,
      `Cannot choose a model in ${source.name}: it has ${ggufFiles.length} GGUF files (${
        ggufFiles.slice(0, 4).join(", ")
      }); ` +
        "name one of them",
      { code: "Ambiguous" },
    );
  }
  if (!files.includes(CONFIG_FILE)) {
    throw new FormatError(
      source.name,
      `Cannot find a model in ${source.name}: expected config.json with ${
        WEIGHT_FORMS.map(({ file }) => file).join(" or ")
      }, ` +
        "or a .gguf file",
      { code: "Missing" },
    );
  }
  return {
    source,
    format: form?.format ?? "none",
    configFile: CONFIG_FILE,
    config: await readJson(source, CONFIG_FILE),
    generationConfig: files.includes("generation_config.json") ? await readJson(source, "generation_config.json") : {},
    tensors: form === undefined
      ? new Map()
      : form.isIndex
      ? await readShards(source, form.file, form.format, files)
      : await readWhole(source, form.file, form.format),
    tokenizer: () => makeTokenizer(source, files),
  };
}

/** Opens a GGUF file, or all parts of a split one, of which the first has metadata and tokenizer. */
async function openGguf(source: ModelSource, file: string, files: readonly string[]): Promise<Checkpoint> {
  const parts = ggufParts(file);
  const absent = parts.find((part) => !files.includes(part));
  if (absent !== undefined) {
    throw new FormatError(
      file,
      `Cannot find ${absent} in ${source.name}: the model is split into ${parts.length} files`,
      {
        code: "Missing",
      },
    );
  }
  const read = (part: string) => readHeader(source, part, "gguf", (parser) => headerOf(parser, part));
  const { tensors: first, metadata } = await read(file);
  const tensors = new Map(first);
  const refuse = (part: string, why: string): never => {
    throw new FormatError(part, `Cannot use ${part}: ${why}`, { code: "Split" });
  };
  for (const [i, part] of parts.entries()) {
    const header = i === 0 ? { tensors: first, metadata } : await read(part);
    const { "split.count": count = 1, "split.no": number = 0 } = header.metadata;
    if (Math.max(1, count as number) !== parts.length || number !== i) {
      refuse(
        part,
        `it says that it is part ${Number(number) + 1} of ${count}, and its name that it is ${
          i + 1
        } of ${parts.length}`,
      );
    }
    for (const [name, entry] of i === 0 ? [] : header.tensors) {
      if (tensors.has(name)) refuse(part, `another part has the tensor ${name} too`);
      tensors.set(name, entry);
    }
  }
  const { "split.tensors.count": expected = tensors.size } = metadata;
  if (expected !== tensors.size) refuse(file, `its parts have ${tensors.size} tensors, expected ${expected}`);
  return {
    source,
    format: "gguf",
    configFile: file,
    config: { ...metadata, ...await readRopeFactors(source, tensors) },
    generationConfig: {},
    tensors,
    tokenizer: () => readHeader(source, file, "gguf", (parser) => parser.ggufTokenizer()),
  };
}

/** The tensors of a checkpoint that is one file. */
async function readWhole(
  source: ModelSource,
  file: string,
  format: WeightFileFormat,
): Promise<ReadonlyMap<string, TensorEntry>> {
  const { tensors, metadata } = await readHeader(source, file, format, (parser) => headerOf(parser, file));
  return format === "safetensors" && hasConvertedLayout(metadata, file) ? joinConverted(tensors) : tensors;
}

/** The tensors of all shards that an index lists, each in the shard that the index names. */
async function readShards(
  source: ModelSource,
  indexFile: string,
  format: WeightFileFormat,
  files: readonly string[],
): Promise<ReadonlyMap<string, TensorEntry>> {
  const map = weightMapOf(await readFile(source, indexFile), indexFile);
  const shards = new Map<string, ReadonlyMap<string, TensorEntry>>();
  let isConverted = false;
  for (const shard of shardsOf(map)) {
    if (!files.includes(shard)) {
      throw new FormatError(indexFile, `Cannot find ${shard} in ${source.name}: ${indexFile} lists it`, {
        code: "Missing",
      });
    }
    const { tensors, metadata } = await readHeader(source, shard, format, (parser) => headerOf(parser, shard));
    isConverted ||= format === "safetensors" && hasConvertedLayout(metadata, shard);
    shards.set(shard, tensors);
  }
  const tensors = new Map<string, TensorEntry>();
  for (const [name, shard] of Object.entries(map)) {
    const entry = shards.get(shard)!.get(name);
    if (entry === undefined) {
      throw new FormatError(indexFile, `Cannot find tensor ${name} in ${shard}: ${indexFile} says that it is there`, {
        code: "Missing",
      });
    }
    tensors.set(name, entry);
  }
  return isConverted ? joinConverted(tensors) : tensors;
}

async function makeTokenizer(source: ModelSource, files: readonly string[]): Promise<Tokenizer> {
  const config = files.includes("tokenizer_config.json") ? await readFile(source, "tokenizer_config.json") : undefined;
  for (
    const [file, make] of [
      ["tokenizer.json", Tokenizer.fromJson],
      ["tokenizer.model", Tokenizer.fromSentencePiece],
    ] as const
  ) {
    if (!files.includes(file)) continue;
    const bytes = await readFile(source, file);
    try {
      return make(bytes, config);
    } catch (error) {
      throw asFormatError(error, file);
    }
  }
  throw new FormatError(
    source.name,
    `Cannot find a tokenizer in ${source.name}: expected tokenizer.json or tokenizer.model`,
    { code: "Missing" },
  );
}
