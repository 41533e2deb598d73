/**
 * `skein tokenize` and `skein detokenize`: text to token ids and back.
 *
 * @module
 */
import { type Command, defineCommand, expectPositionals, readJsonFile, readTextFile, tokenIds } from "./command.ts";
import { jsonOption, openTokenizer } from "./loading.ts";
import { flag, text, UsageError } from "./options.ts";

const options = {
  "file": text("FILE", "Tokenize a text file"),
  "texts": text("FILE", "Tokenize each string of a JSON array"),
  "no-special-tokens": flag("Add no special tokens such as <s>"),
  "json": jsonOption,
};

/** The command `tokenize`. */
export const tokenize: Command = defineCommand({
  summary: "Token ids of a text",
  usage: "MODEL (TEXT | --file FILE | --texts FILE)",
  options,
  run: async ({ positionals, values, terminal }) => {
    const { file, texts } = values;
    if (file !== undefined && texts !== undefined) throw new UsageError("Expected --file or --texts, got both");
    const takesText = file === undefined && texts === undefined;
    const [source, inline] = expectPositionals(positionals, takesText ? ["MODEL", "TEXT"] : ["MODEL"]) as [
      string,
      string,
    ];
    const inputs = texts !== undefined
      ? stringsOf(texts, await readJsonFile("--texts", texts))
      : [file !== undefined ? await readTextFile("--file", file) : inline];
    using tokenizer = await openTokenizer(source);
    const results = inputs.map((input) => {
      const tokens = [...tokenizer.encode(input, { addSpecialTokens: !values["no-special-tokens"] })];
      return { tokens, pieces: tokens.map((id) => tokenizer.piece(id) ?? null) };
    });
    if (values.json) terminal.json(texts === undefined ? results[0] : results);
    else for (const { tokens } of results) terminal.write(`${tokens.join(",")}\n`);
  },
});

const detokenizeOptions = { "json": jsonOption };

/** The command `detokenize`. */
export const detokenize: Command = defineCommand({
  summary: "Text of token ids, such as 19556,905 or 19556 905; special tokens kept",
  usage: "MODEL IDS...",
  options: detokenizeOptions,
  run: async ({ positionals, values, terminal }) => {
    const [source, list] = expectPositionals(positionals.slice(0, 2), ["MODEL", "IDS"]) as [string, string];
    const ids = positionals.length === 2 ? parseIds(list) : positionals.slice(1).flatMap(parseIds);
    using tokenizer = await openTokenizer(source);
    for (const [index, id] of ids.entries()) {
      if (id >= tokenizer.vocabSize) {
        throw new UsageError(
          `Cannot use IDS: element ${index} is ${id}, the vocabulary has ${tokenizer.vocabSize} tokens`,
        );
      }
    }
    const text = tokenizer.decode(ids, { skipSpecialTokens: false });
    if (values.json) terminal.json({ text });
    else terminal.write(`${text}\n`);
  },
});

/** Ids from a JSON array, or a list with commas or blanks. */
function parseIds(list: string): number[] {
  const text = list.trim();
  if (text === "") return [];
  if (/^\d+(?:[\s,]+\d+)+$/.test(text)) return tokenIds("IDS", text.split(/[\s,]+/).map(Number));
  let value: unknown;
  try {
    value = JSON.parse(text.startsWith("[") ? text : `[${text}]`);
  } catch {
    throw new UsageError(
      `Cannot use IDS ${JSON.stringify(list)}: expected a JSON array or ids with commas or blanks between them`,
    );
  }
  return tokenIds("IDS", value);
}

function stringsOf(file: string, value: unknown): string[] {
  if (!Array.isArray(value) || value.some((element) => typeof element !== "string")) {
    throw new UsageError(`Cannot use --texts ${JSON.stringify(file)}: expected a JSON array of strings`);
  }
  return value;
}
