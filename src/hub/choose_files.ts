/**
 * Which files of a model's repository are fetched: those that Skein reads, and one form of the weights.
 *
 * @module
 */
import {
  CONFIG_FILE,
  ggufModels,
  ggufParts,
  SMALL_FILES,
  WEIGHT_FORMS,
  type WeightForm,
} from "../checkpoint/checkpoint_files.ts";
import { FormatError } from "../errors.ts";
import { formatModelId, type ModelId } from "./model_id.ts";

/** Names of the files to fetch. */
export interface ChosenFiles {
  /** Config and tokenizer. */
  readonly small: readonly string[];
  /** How the weights are stored; an index's shards are known once it is read. */
  readonly weights: WeightForm;
  /** Further files of a GGUF file that is split. */
  readonly parts: readonly string[];
}

/**
 * Chooses among a repository's files: safetensors before pickles, and a GGUF file where it is named or is all there is.
 *
 * @param paths Paths of all files.
 * @throws {FormatError} If there is nothing that Skein runs, or a choice that the caller has to make.
 */
export function chooseFiles(paths: readonly string[], id: ModelId): ChosenFiles {
  const name = formatModelId(id);
  const refuse = (why: string, code: string): never => {
    throw new FormatError(id.repository, `Cannot load ${name}: ${why}`, { code });
  };
  const ggufFiles = ggufModels(paths);
  const asGguf = (any: string): ChosenFiles => {
    const [file, ...parts] = ggufParts(any) as [string];
    const absent = [file, ...parts].find((part) => !paths.includes(part));
    if (absent !== undefined) refuse(`it has no ${absent}, one of the ${parts.length + 1} parts of ${file}`, "Missing");
    return { small: [], weights: { file, format: "gguf", isIndex: false }, parts };
  };
  if (id.file !== undefined) {
    if (!paths.includes(id.file)) refuse(`it has no file ${id.file}${listed(ggufFiles)}`, "Missing");
    return asGguf(id.file);
  }
  const weights = WEIGHT_FORMS.find(({ file }) => paths.includes(file));
  if (weights === undefined) {
    if (ggufFiles.length === 1) return asGguf(ggufFiles[0]!);
    if (ggufFiles.length > 1) {
      refuse(`name one of its GGUF files, as ${id.repository}/FILE${listed(ggufFiles)}`, "Ambiguous");
    }
    refuse(`expected ${WEIGHT_FORMS.map(({ file }) => file).join(" or ")}, or a .gguf file`, "Missing");
  }
  if (!paths.includes(CONFIG_FILE)) refuse(`it has no ${CONFIG_FILE}`, "Missing");
  const small = SMALL_FILES.filter((file) => paths.includes(file))
    // The one is read only where the other is not there.
    .filter((file) => file !== "tokenizer.model" || !paths.includes("tokenizer.json"));
  if (!small.some((file) => file === "tokenizer.json" || file === "tokenizer.model")) {
    refuse("it has neither tokenizer.json nor tokenizer.model", "Missing");
  }
  return { small, weights: weights!, parts: [] };
}

function listed(files: readonly string[]): string {
  if (files.length === 0) return "";
  return `: ${files.slice(0, 12).join(", ")}${files.length > 12 ? ` and ${files.length - 12} more` : ""}`;
}
