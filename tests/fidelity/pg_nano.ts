/**
 * pg-nano, base and extended by YaRN, against transformers, from the command line: perplexity by length and position,
 * passkeys, and the cost of q8 and q4.
 *
 * @module
 */
import { atMost, holds, type Measure, percentOff } from "./measure.ts";
import { isRecorded, recordFigure } from "./reference_tables.ts";
import roundToNearest from "./round_to_nearest.json" with { type: "json" };
import { skein } from "./skein.ts";

const BASE = "pg-nano-256";
const EXTENDED = "pg-nano-yarn-2k";

/** What reference.json and passkey_trials.json measured, by its name there; `scaling` is an option's value. */
const VARIANTS: Readonly<Record<string, { readonly directory: string; readonly scaling?: string }>> = {
  "base": { directory: BASE },
  "yarn-8 fine-tuned": { directory: EXTENDED },
  "base+yarn-8 (no fine-tune)": { directory: BASE, scaling: "yarn:8" },
  "base+linear-PI-8": { directory: BASE, scaling: "linear:8" },
  "base+NTK-aware-8": { directory: BASE, scaling: "ntk:8" },
  "base+dynamic-NTK(factor=1)": { directory: BASE, scaling: "dynamic:1" },
  "base+dynamic-NTK(factor=8)": { directory: BASE, scaling: "dynamic:8" },
};

/** Context lengths of reference.json, and the longest one, whose windows are measured by position too. */
const LENGTHS = ["256", "512", "1024", "2048"] as const;
const WINDOW = "4096";

const BY_LENGTH = "Perplexity by context length";
const BY_POSITION = `Perplexity by position in windows of ${WINDOW} tokens`;
const PASSKEYS = "Passkeys found of 20, and answers that differ";

/** How far a perplexity may be from transformers', in percent. */
const PERCENT = 0.5;

/** One row of `perplexity --json` and `compare --json`. */
interface Row {
  readonly scaling: string;
  readonly positions?: readonly [number, number];
  readonly perplexity: number;
}

interface Reference {
  readonly ppl_last256: Readonly<Record<string, number>>;
  readonly ppl_bucket_in_4096_window: Readonly<Record<string, number>>;
}

interface Trial {
  readonly length: number;
  readonly key: string;
  readonly found: readonly string[];
}

/**
 * Perplexities of both checkpoints as they are, by context length, on the windows of reference.json.
 *
 * @param onlyMissing Leave out what the tables have; so with the others.
 */
export async function* measurePerplexity(data: string, onlyMissing: boolean): AsyncGenerator<Measure> {
  const references = await readReferences(data);
  for (const [name, { directory, scaling }] of Object.entries(VARIANTS)) {
    if (scaling !== undefined) continue;
    for (const length of LENGTHS) {
      if (onlyMissing && await isRecorded(BY_LENGTH, name, length)) continue;
      const [row] = await measure(data, "perplexity", directory, "--lengths", length);
      yield await comparedLength(references, name, length, row!);
    }
  }
}

/** The same of the base under other scalings, which `compare` sets side by side. */
export async function* measureScalings(data: string, onlyMissing: boolean): AsyncGenerator<Measure> {
  const references = await readReferences(data);
  const names = Object.keys(VARIANTS).filter((name) => VARIANTS[name]!.scaling !== undefined);
  const scalings = names.map((name) => VARIANTS[name]!.scaling!);
  for (const length of LENGTHS) {
    if (onlyMissing && await isRecorded(BY_LENGTH, names.at(-1)!, length)) continue;
    const rows = await measure(data, "compare", BASE, "--scalings", scalings.join(), "--lengths", length);
    for (const [i, name] of names.entries()) {
      const row = rows.find(({ scaling }) => scaling === scalings[i])!;
      yield await comparedLength(references, name, length, row);
    }
  }
}

/** Perplexities of every variant in windows of 4096 tokens: of their last targets, and by position. */
export async function* measurePositions(data: string, onlyMissing: boolean): AsyncGenerator<Measure> {
  const references = await readReferences(data);
  for (const [name, { directory, scaling }] of Object.entries(VARIANTS)) {
    if (onlyMissing && await isRecorded(BY_LENGTH, name, WINDOW)) continue;
    const expected = references[name]!.ppl_bucket_in_4096_window;
    const bounds = [0, ...Object.keys(expected).map((range) => Number(range.split("-")[1]))];
    const option = scaling === undefined ? [] : ["--rope-scaling", scaling];
    const wanted = ["--lengths", WINDOW, "--buckets", bounds.join()];
    for (const row of await measure(data, "perplexity", directory, ...wanted, ...option)) {
      if (row.positions === undefined) {
        yield await comparedLength(references, name, WINDOW, row);
        continue;
      }
      const range = row.positions.join("-");
      yield await compared(BY_POSITION, name, range, row.perplexity, expected[range]!);
    }
  }
}

/** Perplexity of q8 and q4 made here from f16, against f16 and against round-to-nearest Q4_1. */
export async function* measureQuality(data: string): AsyncGenerator<Measure> {
  const { length, f16, q4_1_linear: linear, q4_1_all: all } = roundToNearest;
  const perplexity = async (weights: "f16" | "q8" | "q4") => {
    const rows = await measure(data, "perplexity", EXTENDED, "--lengths", String(length), "--weights", weights);
    return rows[0]!.perplexity;
  };
  const half = await perplexity("f16");
  yield atMost(`${EXTENDED} f16 at ${length}: against transformers`, PERCENT, percentOff(half, f16), " %");
  const q8 = await perplexity("q8");
  yield atMost(
    `${EXTENDED} q8: perplexity ${q8.toFixed(3)} against f16 ${half.toFixed(3)}`,
    PERCENT,
    percentOff(q8, half),
    " %",
  );
  const q4 = await perplexity("q4");
  yield atMost(`${EXTENDED} q4: perplexity against Q4_1 with an f16 embedding`, linear, q4);
  yield atMost(`${EXTENDED} q4: perplexity against Q4_1 everywhere`, all, q4);
}

/** The keys that each checkpoint finds, and the base under other scalings, against those that transformers found. */
export async function* measurePasskey(data: string, onlyMissing: boolean): AsyncGenerator<Measure> {
  const file = `${data}/models/passkey_trials.json`;
  const trials: Trial[] = await readJson(file);
  for (const [name, { directory, scaling }] of Object.entries(VARIANTS)) {
    for (const length of new Set(trials.map((trial) => trial.length))) {
      if (onlyMissing && await isRecorded(PASSKEYS, name, String(length))) continue;
      const listed = trials.filter((trial) => trial.length === length);
      const model = `${data}/models/${directory}`;
      const option = scaling === undefined ? [] : ["--rope-scaling", scaling];
      const args = ["--trials", file, "--lengths", String(length), "--json", ...option];
      const answers: { depth: number; answer: string }[] = JSON.parse(await skein("passkey", model, ...args)).results;
      // What counts there is that the answer begins with the key, whatever digits follow.
      const found = answers.map(({ answer }, i) => answer.startsWith(` ${listed[i]!.key}`));
      const differing = answers.filter((_, i) => found[i] !== listed[i]!.found.includes(name));
      const count = found.filter(Boolean).length;
      const expected = listed.filter(({ found }) => found.includes(name)).length;
      await recordFigure(PASSKEYS, name, String(length), {
        ours: String(count),
        reference: String(expected),
        difference: String(differing.length),
      });
      yield holds(
        `${name} at ${length}: passkeys as transformers, which found ${expected}`,
        `>= ${listed.length - 1} of ${listed.length}`,
        `${listed.length - differing.length} (${count} found) ${
          differing.map(({ depth, answer }) => `${depth.toFixed(2)}: ${JSON.stringify(answer)}`).join("; ")
        }`,
        answers.length === listed.length && differing.length <= 1,
      );
    }
  }
}

function comparedLength(
  references: Readonly<Record<string, Reference>>,
  name: string,
  length: string,
  { perplexity }: Row,
): Promise<Measure> {
  const expected = references[name]!.ppl_last256[length]!;
  return compared(BY_LENGTH, name, length, perplexity, expected);
}

async function compared(
  table: string,
  name: string,
  column: string,
  got: number,
  expected: number,
): Promise<Measure> {
  await recordFigure(table, name, column, {
    ours: got.toFixed(2),
    reference: expected.toFixed(2),
    difference: `${((got / expected - 1) * 100).toFixed(3)}%`,
  });
  const what = `${name} at ${column}: perplexity ${got.toFixed(3)} against ${expected}`;
  return atMost(what, PERCENT, percentOff(got, expected), " %");
}

/** Rows that a command prints for the books and windows of the reference. */
async function measure(
  data: string,
  command: "perplexity" | "compare",
  directory: string,
  ...options: string[]
): Promise<Row[]> {
  const model = `${data}/models/${directory}`;
  const windows = ["--windows", `${data}/models/windows.json`, "--json"];
  return JSON.parse(await skein(command, model, `${data}/pg19/books`, ...windows, ...options)).results;
}

async function readReferences(data: string): Promise<Readonly<Record<string, Reference>>> {
  return (await readJson(`${data}/models/reference.json`)).results;
}

async function readJson(path: string) {
  return JSON.parse(await Deno.readTextFile(path));
}
