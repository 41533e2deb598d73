/**
 * Where a model's chat template comes from.
 *
 * @module
 */
import { type ModelSource, readFile } from "../checkpoint/source.ts";
import { FormatError } from "../errors.ts";

/** The file beside the tokenizer's that newer models have their template in. */
const TEMPLATE_FILE = "chat_template.jinja";

/**
 * The text of `chat_template.jinja`, which comes before any template in the tokenizer's config.
 *
 * @returns The template; undefined where there is no such file.
 * @throws {FormatError} If it is not UTF-8.
 */
export async function readTemplateFile(source: ModelSource): Promise<string | undefined> {
  if (!(await source.list()).includes(TEMPLATE_FILE)) return undefined;
  const bytes = await readFile(source, TEMPLATE_FILE);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new FormatError(TEMPLATE_FILE, `Cannot read ${TEMPLATE_FILE}: it is not UTF-8`, { cause, code: "Malformed" });
  }
}
