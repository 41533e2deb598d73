/**
 * The documents that an evaluation reads.
 *
 * @module
 */
import type { Encoder } from "./scorer.ts";

/** A document as text. */
export interface TextDocument {
  /** What it is called in messages and results. */
  readonly name: string;
  /** Its text. */
  readonly text: string;
}

/** A document as token ids, without special tokens. */
export interface EvalDocument {
  /** What it is called in messages and results. */
  readonly name: string;
  /** Its token ids. `// (n_tokens)` */
  readonly tokens: Uint32Array;
}

/** A document's token ids, if it has none yet. */
export function encodeDocument(encoder: Encoder, document: TextDocument | EvalDocument): EvalDocument {
  if ("tokens" in document) return document;
  return { name: document.name, tokens: encoder.encode(document.text, { addSpecialTokens: false }) };
}

/**
 * The documents of a JSON Lines file: one object a line, its text in a field.
 *
 * @param name The file's name; the documents are called `name:LINE`.
 * @param content The file's text; empty lines count as lines and hold nothing.
 * @param field The field with the text.
 * @throws {SyntaxError} If a line is no object, or its field no text.
 */
export function parseJsonLines(name: string, content: string, field: string): TextDocument[] {
  return content.split("\n").flatMap((line, index) => {
    if (line.trim() === "") return [];
    const where = `${name}:${index + 1}`;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (cause) {
      throw new SyntaxError(`Cannot read ${where}: ${(cause as Error).message}`, { cause });
    }
    const text = (value as Record<string, unknown> | null)?.[field];
    if (typeof text !== "string") {
      throw new SyntaxError(`Cannot read ${where}: field ${JSON.stringify(field)} is ${kindOf(text)}, expected a text`);
    }
    return [{ name: where, text }];
  });
}

/** Which documents to take. */
export interface DocumentChoice {
  /** Documents of fewer tokens are skipped: at least 2, as nothing can be predicted of less. @default {2} */
  readonly minTokens?: number;
  /** Take the first so many of those that are long enough. Default: all. */
  readonly samples?: number;
}

/** The documents to take, and those that are too short. */
export function chooseDocuments(
  documents: readonly EvalDocument[],
  { minTokens = 2, samples = Infinity }: DocumentChoice = {},
): { readonly kept: EvalDocument[]; readonly skipped: EvalDocument[] } {
  const isLong = ({ tokens }: EvalDocument) => tokens.length >= Math.max(2, minTokens);
  return {
    kept: documents.filter(isLong).slice(0, samples),
    skipped: documents.filter((document) => !isLong(document)),
  };
}

function kindOf(value: unknown): string {
  return value === undefined ? "missing" : value === null ? "null" : Array.isArray(value) ? "an array" : typeof value;
}
