/**
 * `skein score`: how likely a model finds a text.
 *
 * @module
 */
import { type Command, defineCommand, expectPositionals, readJsonFile, readTextFile, tokenIds } from "./command.ts";
import { counted } from "./counted.ts";
import { modelOptions, openModel } from "./loading.ts";
import { flag, text, UsageError } from "./options.ts";

const options = {
  "text": text("TEXT", "Text to score"),
  "file": text("FILE", "Score a text file"),
  "tokens": text("FILE", "Score a JSON array of token ids, as they are"),
  "no-special-tokens": flag("Add no special tokens such as <s> to the text"),
  ...modelOptions,
};

/** The command. */
export const score: Command = defineCommand({
  summary: "Log-probabilities and perplexity of a text",
  usage: "MODEL (--text TEXT | --file FILE | --tokens FILE)",
  options,
  run: async ({ positionals, values, terminal, signal }) => {
    const [source] = expectPositionals(positionals, ["MODEL"]) as [string];
    const { text, file, tokens } = values;
    if ([text, file, tokens].filter((given) => given !== undefined).length !== 1) {
      throw new UsageError("Expected one of --text TEXT, --file FILE and --tokens FILE");
    }
    const input = tokens !== undefined
      ? tokenIds(`--tokens ${JSON.stringify(tokens)}`, await readJsonFile("--tokens", tokens))
      : text ?? await readTextFile("--file", file!);
    using model = await openModel(source, values, { terminal, signal });
    const result = await model.score(input, {
      addSpecialTokens: !values["no-special-tokens"],
      signal,
      onProgress: (done, total) => terminal.progress(`score ${done} of ${total} tokens`),
    });
    if (values.json) {
      terminal.json({ tokens: [...result.tokens], logprobs: [...result.logprobs], perplexity: result.perplexity });
      return;
    }
    terminal.write(`perplexity ${result.perplexity.toFixed(4)} over ${counted(result.logprobs.length, "token")}\n`);
  },
});
