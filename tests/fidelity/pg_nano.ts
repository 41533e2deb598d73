/**
 * pg-nano, base and extended by YaRN, against transformers: perplexity by length, passkeys, and the cost of q8 and q4.
 *
 * @module
 */
import { loadModel, type LoadOptions, type Model } from "../../mod.ts";
import { atMost, holds, type Measure, percentOff, perplexityOf } from "./measure.ts";
import roundToNearest from "./round_to_nearest.json" with { type: "json" };

/** Targets of a window that count: the last ones. */
const COUNTED = 256;

/** Tokens that a passkey's answer takes: a space and five digits. */
const ANSWER_TOKENS = 6;

/** The checkpoints, by the names that reference.json and passkey_trials.json have for them. */
const MODELS = { "pg-nano-256": "base", "pg-nano-yarn-2k": "yarn-8 fine-tuned" };

interface Window {
  readonly file: string;
  readonly end: number;
}

interface Trial {
  readonly length: number;
  readonly key: string;
  readonly depth: number;
  readonly filler_characters: number;
  readonly found: string[];
}

/** Perplexities of both checkpoints at every length of reference.json, on its windows. */
export async function* measurePerplexity(data: string): AsyncGenerator<Measure> {
  const { results } = await readJson(`${data}/models/reference.json`);
  for (const [directory, name] of Object.entries(MODELS)) {
    const expected: Record<string, number> = results[name].ppl_last256;
    const longest = Math.max(...Object.keys(expected).map(Number));
    using model = await load(data, directory, { contextLength: longest + 1 });
    const windows = await windowsOf(data, model);
    for (const [length, perplexity] of Object.entries(expected)) {
      const got = await windowPerplexity(model, windows, Number(length));
      const off = percentOff(got, perplexity);
      yield atMost(`${directory} at ${length}: perplexity ${got.toFixed(3)} against ${perplexity}`, 0.5, off, " %");
    }
  }
}

/** Perplexity of q8 and q4 made here from f16, against f16 and against round-to-nearest Q4_1. */
export async function* measureQuality(data: string): AsyncGenerator<Measure> {
  const { length, f16, q4_1_linear: linear, q4_1_all: all } = roundToNearest;
  const perplexity = async (weights: "f16" | "q8" | "q4") => {
    using model = await load(data, "pg-nano-yarn-2k", { weights, contextLength: length + 1 });
    return await windowPerplexity(model, await windowsOf(data, model), length);
  };
  const half = await perplexity("f16");
  yield atMost(`pg-nano-yarn-2k f16 at ${length}: against transformers`, 0.5, percentOff(half, f16), " %");
  const q8 = await perplexity("q8");
  yield atMost(
    `pg-nano-yarn-2k q8: perplexity ${q8.toFixed(3)} against f16 ${half.toFixed(3)}`,
    0.5,
    percentOff(q8, half),
    " %",
  );
  const q4 = await perplexity("q4");
  yield atMost("pg-nano-yarn-2k q4: perplexity against Q4_1 with an f16 embedding", linear, q4);
  yield atMost("pg-nano-yarn-2k q4: perplexity against Q4_1 everywhere", all, q4);
}

/** The keys that each checkpoint finds, against those that transformers found. */
export async function* measurePasskey(data: string): AsyncGenerator<Measure> {
  const trials: Trial[] = await readJson(`${data}/models/passkey_trials.json`);
  const longest = Math.max(...trials.map((trial) => trial.length)) + ANSWER_TOKENS;
  for (const [directory, name] of Object.entries(MODELS)) {
    using model = await load(data, directory, { contextLength: longest });
    const differing: string[] = [];
    let found = 0;
    for (const trial of trials) {
      const { text: answer } = await model.generate(passkeyPrompt(trial), { maxTokens: ANSWER_TOKENS }).result;
      const hit = answer.startsWith(` ${trial.key}`);
      found += Number(hit);
      if (hit !== trial.found.includes(name)) differing.push(`${trial.length}/${trial.depth.toFixed(2)}: "${answer}"`);
    }
    const got = `${trials.length - differing.length} (${found} found) ${differing.join("; ")}`;
    yield holds(
      `${directory}: passkeys as transformers`,
      `>= ${trials.length - 1} of ${trials.length}`,
      got,
      differing.length <= 1,
    );
  }
}

function load(data: string, directory: string, options: LoadOptions): Promise<Model> {
  return loadModel(`${data}/models/${directory}`, options);
}

/** Token ids of each window's book up to the window's last target, without special tokens. */
async function windowsOf(data: string, model: Model): Promise<number[][]> {
  const windows: Window[] = await readJson(`${data}/models/windows.json`);
  const books = new Map<string, number[]>();
  for (const { file } of windows) {
    if (books.has(file)) continue;
    const text = await Deno.readTextFile(`${data}/pg19/books/${file}`);
    books.set(file, Array.from(model.tokenizer.encode(text, { addSpecialTokens: false })));
  }
  return windows.map(({ file, end }) => books.get(file)!.slice(0, end));
}

/** `<s>` and length - 1 tokens go in; the last COUNTED predictions count. */
async function windowPerplexity(model: Model, windows: number[][], length: number): Promise<number> {
  const counted: number[] = [];
  for (const tokens of windows) {
    const { logprobs } = await model.score([model.tokenizer.bosId!, ...tokens.slice(-length)]);
    counted.push(...logprobs.slice(-COUNTED));
  }
  return perplexityOf(counted);
}

/** The prompt of jquesnelle/yarn's eval/passkey.py, its filler cut by characters. */
function passkeyPrompt({ key, depth, filler_characters }: Trial): string {
  const sentence = "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.";
  const filler = Array(Math.floor(filler_characters / sentence.length) + 2).fill(sentence).join(" ");
  const before = Math.floor(filler_characters * depth);
  return [
    "There is an important info hidden inside a lot of irrelevant text. Find it and memorize them. I will quiz you about the important information there.",
    filler.slice(0, before),
    `The pass key is ${key}. Remember it. ${key} is the pass key.`,
    filler.slice(0, filler_characters - before),
    "What is the pass key? The pass key is",
  ].join("\n");
}

async function readJson(path: string) {
  return JSON.parse(await Deno.readTextFile(path));
}
