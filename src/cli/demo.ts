/**
 * The demo: the same weights and the same texts with plain RoPE and with YaRN. First a key to find, then perplexity by
 * context length.
 *
 * usage: deno task demo [KEY], a number of five digits
 *
 * @module
 */
import { inspectModel, loadModel, type Model, perplexity, type PerplexityRow, type RopeChoice } from "../../mod.ts";
import { keyLine, passkeyPrompt, QUESTION } from "../eval/passkey_prompt.ts";
import { perplexityTextPlot } from "../eval/text_plot.ts";
import { SAMPLED_TARGETS } from "../eval/windows.ts";
import { comparisonTable } from "./compare.ts";
import { progressLine } from "./evaluation_output.ts";
import { Terminal } from "./terminal.ts";

const TESTDATA = new URL("../../tests/testdata/", import.meta.url);
const MODEL = new URL("pg-nano-yarn-2k/", TESTDATA).pathname;
const LLAMA_7B = new URL("yarn-llama-2-7b-64k/", TESTDATA).pathname;
const BOOK = new URL("pg19/keith_of_the_border.txt", TESTDATA);

/** Filler that puts the key 1,500 tokens before the end of a prompt of about 2,000. */
const FILLER = { before: 1750, after: 5250 };

const PLAIN = { name: "plain RoPE", scaling: "none" } as const;
const NTK = { name: "NTK-aware x8", scaling: { rope_type: "ntk", factor: 8 } } as const;
const YARN = { name: "YaRN x8", scaling: undefined } as const;

/** The token of the excerpt that the compared texts end before. Other places tell the same story. */
const END = 6400;

/** Context lengths to compare at. */
const LENGTHS = [256, 512, 1024, 2048];

/** Lines of the plot, so that all of it fits on one screen. */
const PLOT_HEIGHT = 8;

const grouped = (count: number) => count.toLocaleString("en-US");

const indented = (text: string) => text.replaceAll(/^(?=.)/gm, "  ");

/** Asks for the key; returns whether the answer is right. */
async function ask(
  model: Model,
  terminal: Terminal,
  { name, scaling }: { name: string; scaling: RopeChoice | undefined },
  key: string,
): Promise<boolean> {
  const started = performance.now();
  model.scaleRope(scaling);
  const generation = model.generate(passkeyPrompt({ key, ...FILLER }), { maxTokens: 6 });
  terminal.write(`  ${name.padEnd(14)}${QUESTION}`);
  let answer = "";
  for await (const { text } of generation) {
    answer += text;
    terminal.write(text.replaceAll("\n", " "));
  }
  const right = answer.trim().startsWith(key);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  terminal.write(`   ${right ? "right" : "wrong"} (${seconds} s)\n`);
  return right;
}

/** Perplexity of a few tokens of the bundled excerpt, by how much of the text before them the model sees. */
async function compareLengths(model: Model, terminal: Terminal): Promise<PerplexityRow[]> {
  return await perplexity(model, [{ name: "excerpt", text: await Deno.readTextFile(BOOK) }], {
    lengths: LENGTHS,
    windowEnds: [{ document: 0, end: END }],
    scalings: [PLAIN, NTK, YARN],
    onProgress: (progress) => terminal.progress(progressLine(progress)),
  });
}

async function main(): Promise<number> {
  const key = Deno.args[0] ?? "14577";
  const terminal = new Terminal();
  if (!/^[1-9]\d{4}$/.test(key)) {
    terminal.note(`Cannot hide ${JSON.stringify(key)}: expected a number of five digits`);
    return 1;
  }
  using model = await loadModel(MODEL);
  const encode = (text: string) => model.tokenizer.encode(text).length;
  const prompt = passkeyPrompt({ key, ...FILLER });
  const total = encode(prompt);
  const distance = total - encode(prompt.slice(0, prompt.indexOf(keyLine(key))));
  terminal.write(`Skein on ${model.deviceName}
pg-nano-yarn-2k: a Llama trained on texts of 256 tokens, then extended to 2,048 by YaRN.

The key ${key} hides in a text of ${grouped(total)} tokens, ${grouped(distance)} tokens before the question.
The same weights, the same text:

`);
  await ask(model, terminal, PLAIN, key);
  const found = await ask(model, terminal, YARN, key);

  const { plan, config } = await inspectModel(LLAMA_7B, { weights: "q4", kvCache: "q4" });
  const gigabytes = (plan[0]!.totalBytes / 1e9).toFixed(1);
  terminal.write(`
Now a model of your own, a folder from Hugging Face or a .gguf file, with generate, chat or inspect:
  deno task skein generate path/to/model --prompt "Once upon a time"
Yarn-Llama-2-7b-64k takes ${gigabytes} GB for ${
    grouped(config.maxPositionEmbeddings)
  } tokens with --weights q4 --kv-cache q4.

Perplexity of ${SAMPLED_TARGETS} tokens of a novel by the length of the text that they end; lower is better:

`);
  const rows = await compareLengths(model, terminal);
  terminal.write(indented(`${comparisonTable(rows)}\n${perplexityTextPlot(rows, PLOT_HEIGHT)}`));
  return found ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main());
