/**
 * Which files of a model's repository are fetched: those that Skein reads, and one form of the weights.
 *
 * @module
 */
import { CONFIG_FILE, SMALL_FILES, WEIGHT_FORMS, type WeightForm } from "../checkpoint/checkpoint_files.ts";
import { FormatError } from "../errors.ts";
import { formatModelId, type ModelId } from "./model_id.ts";

/** Names of the files to fetch. */
export interface ChosenFiles {
  /** Config and tokenizer. */
  readonly small: readonly string[];
  /** How the weights are stored; an index's shards are known once it is read. */
  readonly weights: WeightForm;
}

/** A GGUF file that is one of several. */
const SPLIT_GGUF = /-\d{5}-of-(\d{5})\.gguf$/;

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
  const ggufFiles = paths.filter((path) => path.endsWith(".gguf"));
  const asGguf = (file: string): ChosenFiles => {
    const [, parts] = SPLIT_GGUF.exec(file) ?? [];
    if (parts !== undefined && Number(parts) > 1) refuse(`${file} is one of ${Number(parts)} parts`, "Split");
    return { small: [], weights: { file, format: "gguf", isIndex: false } };
  };
  if (id.file !== undefined) {
    if (!ggufFiles.includes(id.file)) refuse(`it has no file ${id.file}${listed(ggufFiles)}`, "Missing");
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
  return { small, weights: weights! };
}

function listed(files: readonly string[]): string {
  if (files.length === 0) return "";
  return `: ${files.slice(0, 12).join(", ")}${files.length > 12 ? ` and ${files.length - 12} more` : ""}`;
}
