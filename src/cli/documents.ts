/**
 * Documents that a user names: text files, JSON Lines files, folders of them.
 *
 * @module
 */
import { parseJsonLines, type TextDocument } from "../eval/documents.ts";
import { readTextFile, reasonOf, resolvePath } from "./command.ts";
import { UsageError } from "./options.ts";

/** What is taken of a folder. */
const NAMES = /\.(txt|text|jsonl)$/i;

/**
 * Reads documents, folders by name and with all folders in them.
 *
 * @param paths Files and folders, as the user gave them.
 * @param field The field of a JSON Lines file with the text.
 * @throws {UsageError} If something cannot be read, or a folder has no documents.
 */
export async function readDocuments(paths: readonly string[], field: string): Promise<TextDocument[]> {
  const documents: TextDocument[] = [];
  for (const path of paths) {
    const files = await filesOf(path);
    if (files.length === 0) {
      throw new UsageError(
        `Cannot use folder ${JSON.stringify(path)}: it has no .txt, .text or .jsonl file`,
      );
    }
    for (const file of files) {
      const content = await readTextFile("document", file);
      if (/\.jsonl$/i.test(file)) documents.push(...parseJsonLines(file, content, field));
      else documents.push({ name: file, text: content });
    }
  }
  return documents;
}

async function filesOf(path: string): Promise<string[]> {
  let info: Deno.FileInfo;
  try {
    info = await Deno.stat(resolvePath(path));
  } catch (cause) {
    throw new UsageError(`Cannot read document ${JSON.stringify(path)}: ${reasonOf(cause)}`, { cause });
  }
  if (!info.isDirectory) return [path];
  const files: string[] = [];
  const entries = await Array.fromAsync(Deno.readDir(resolvePath(path)));
  for (const { name, isDirectory } of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
    const inner = `${path.replace(/[\\/]$/, "")}/${name}`;
    if (isDirectory) files.push(...await filesOf(inner));
    else if (NAMES.test(name)) files.push(inner);
  }
  return files;
}
