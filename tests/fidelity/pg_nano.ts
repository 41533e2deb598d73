/**
 * pg-nano, base and extended by YaRN, against transformers: perplexity by length and position, passkeys, and the cost of q8 and q4.
 *
 * @module
 */
import {
  type EvalDocument,
  loadModel,
  type LoadOptions,
  type Model,
  passkey,
  perplexity as measure,
  type WindowEnd,
} from "../../mod.ts";
import { ANSWER_TOKENS } from "../../src/eval/passkey.ts";
import { atMost, holds, type Measure, percentOff } from "./measure.ts";
import roundToNearest from "./round_to_nearest.json" with { type: "json" };

/** What reference.json and passkey_trials.json measured, by its name there. */
const VARIANTS = {
  "base": { directory: "pg-nano-256", scaling: undefined },
  "yarn-8 fine-tuned": { directory: "pg-nano-yarn-2k", scaling: undefined },
  "base+yarn-8 (no fine-tune)": { directory: "pg-nano-256", scaling: { rope_type: "yarn", factor: 8 } },
  "base+linear-PI-8": { directory: "pg-nano-256", scaling: { rope_type: "linear", factor: 8 } },
  "base+NTK-aware-8": { directory: "pg-nano-256", scaling: { rope_type: "ntk", factor: 8 } },
  "base+dynamic-NTK(factor=1)": { directory: "pg-nano-256", scaling: { rope_type: "dynamic", factor: 1 } },
  "base+dynamic-NTK(factor=8)": { directory: "pg-nano-256", scaling: { rope_type: "dynamic", factor: 8 } },
} as const;

type VariantName = keyof typeof VARIANTS;

/** The two checkpoints as they are. */
const OWN: readonly VariantName[] = ["base", "yarn-8 fine-tuned"];

/** The base under scalings that it was not trained with. */
const SCALED = (Object.keys(VARIANTS) as VariantName[]).filter((name) => !OWN.includes(name));

interface Trial {
  readonly length: number;
  readonly key: string;
  readonly depth: number;
  readonly filler_characters: number;
  readonly found: string[];
}

/** Perplexities of both checkpoints at every length of reference.json, on its windows. */
export function measurePerplexity(data: string): AsyncGenerator<Measure> {
  return measureLengths(data, OWN);
}

/** The same of the base under other scalings. */
export function measureScalings(data: string): AsyncGenerator<Measure> {
  return measureLengths(data, SCALED);
}

async function* measureLengths(data: string, names: readonly VariantName[]): AsyncGenerator<Measure> {
  const { results } = await readJson(`${data}/models/reference.json`);
  for (const name of names) {
    const expected: Record<string, number> = results[name].ppl_last256;
    using model = await loadVariant(data, name, Math.max(...Object.keys(expected).map(Number)));
    const { documents, windowEnds } = await windowsOf(data, model);
    for (const [length, perplexity] of Object.entries(expected)) {
      const [row] = await measure(model, documents, { lengths: [Number(length)], windowEnds });
      yield compared(`${name} at ${length}`, row!.perplexity, perplexity);
    }
  }
}

/** Perplexities by position inside one window, of every variant. */
export async function* measurePositions(data: string): AsyncGenerator<Measure> {
  const { results } = await readJson(`${data}/models/reference.json`);
  for (const name of Object.keys(VARIANTS) as VariantName[]) {
    const expected: Record<string, number> = results[name].ppl_bucket_in_4096_window;
    const buckets = [0, ...Object.keys(expected).map((range) => Number(range.split("-")[1]))];
    using model = await loadVariant(data, name, buckets.at(-1)!);
    const { documents, windowEnds } = await windowsOf(data, model);
    for (const { positions, perplexity } of await measure(model, documents, { lengths: [], windowEnds, buckets })) {
      const range = positions!.join("-");
      yield compared(`${name}, positions ${range}`, perplexity, expected[range]!);
    }
  }
}

function compared(what: string, got: number, expected: number): Measure {
  return atMost(`${what}: perplexity ${got.toFixed(3)} against ${expected}`, 0.5, percentOff(got, expected), " %");
}

/** Perplexity of q8 and q4 made here from f16, against f16 and against round-to-nearest Q4_1. */
export async function* measureQuality(data: string): AsyncGenerator<Measure> {
  const { length, f16, q4_1_linear: linear, q4_1_all: all } = roundToNearest;
  const perplexity = async (weights: "f16" | "q8" | "q4") => {
    using model = await load(data, "pg-nano-yarn-2k", { weights, contextLength: length });
    const { documents, windowEnds } = await windowsOf(data, model);
    const [row] = await measure(model, documents, { lengths: [length], windowEnds });
    return row!.perplexity;
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

/** The keys that each checkpoint finds, and the base under other scalings, against those that transformers found. */
export async function* measurePasskey(data: string): AsyncGenerator<Measure> {
  const listed: Trial[] = await readJson(`${data}/models/passkey_trials.json`);
  const trials = listed.map(({ length, key, depth, filler_characters: filler }) => {
    const before = Math.floor(filler * depth);
    return { contextLength: length, key, depth, before, after: filler - before };
  });
  const longest = Math.max(...listed.map((trial) => trial.length)) + ANSWER_TOKENS;
  for (const name of Object.keys(VARIANTS) as VariantName[]) {
    using model = await loadVariant(data, name, longest);
    const answers = await passkey(model, trials);
    for (const length of new Set(listed.map((trial) => trial.length))) {
      const row = answers.map((answer, i) => ({ ...answer, expected: listed[i]!.found.includes(name) }))
        .filter(({ contextLength }) => contextLength === length);
      const differing = row.filter(({ found, expected }) => found !== expected);
      yield holds(
        `${name} at ${length}: passkeys as transformers`,
        `>= ${row.length - 1} of ${row.length}`,
        `${row.length - differing.length} (${row.filter(({ found }) => found).length} found) ${
          differing.map(({ depth, answer }) => `${depth.toFixed(2)}: ${JSON.stringify(answer)}`).join("; ")
        }`,
        differing.length <= 1,
      );
    }
  }
}

function load(data: string, directory: string, options: LoadOptions): Promise<Model> {
  return loadModel(`${data}/models/${directory}`, options);
}

function loadVariant(data: string, name: VariantName, contextLength: number): Promise<Model> {
  const { directory, scaling } = VARIANTS[name];
  return load(data, directory, { contextLength, ...(scaling === undefined ? {} : { ropeScaling: scaling }) });
}

/** The books that windows.json names, encoded once, and where its windows end in them. */
async function windowsOf(
  data: string,
  { tokenizer }: Model,
): Promise<{ documents: EvalDocument[]; windowEnds: WindowEnd[] }> {
  const windows: { file: string; end: number }[] = await readJson(`${data}/models/windows.json`);
  const names = [...new Set(windows.map(({ file }) => file))];
  const documents: EvalDocument[] = [];
  for (const name of names) {
    const text = await Deno.readTextFile(`${data}/pg19/books/${name}`);
    documents.push({ name, tokens: tokenizer.encode(text, { addSpecialTokens: false }) });
  }
  return { documents, windowEnds: windows.map(({ file, end }) => ({ document: names.indexOf(file), end })) };
}

async function readJson(path: string) {
  return JSON.parse(await Deno.readTextFile(path));
}
