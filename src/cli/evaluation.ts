/**
 * What `perplexity` and `compare` share: their options, the documents, and the measuring.
 *
 * @module
 */
import { hashOf } from "../checkpoint/source_fingerprint.ts";
import { chooseDocuments, encodeDocument, type EvalDocument, type TextDocument } from "../eval/documents.ts";
import { DEFAULT_STRIDE, type NamedScaling } from "../eval/passes.ts";
import { perplexity, type PerplexityRow } from "../eval/perplexity.ts";
import { perplexityCsv, perplexityPlot } from "../eval/report.ts";
import { SAMPLED_TARGETS, type WindowEnd } from "../eval/windows.ts";
import type { Model } from "../../mod.ts";
import { counted } from "./counted.ts";
import { readJsonFile, type Run } from "./command.ts";
import { readDocuments } from "./documents.ts";
import { listed, methodOf, nameOf, nameOfPath, progressLine } from "./evaluation_output.ts";
import { documentsFingerprint, EvaluationState, modelFingerprint } from "./evaluation_state.ts";
import { defaultLengths, filledLengths, lengthsOption } from "./lengths.ts";
import { modelOptions, openModel } from "./loading.ts";
import { flag, integer, type Option, text, UsageError } from "./options.ts";
import { expectDifferentFiles, WholeFile } from "./whole_file.ts";

const bucketsOption: Option<readonly number[] | undefined> = {
  placeholder: "N,N,...",
  help: "With --windows: also measure one window of the last N by where its targets stand, as 0,256,512",
  read: (option, [value]) => {
    if (value === undefined) return undefined;
    const bounds = /^\d+(,\d+)+$/.test(value) ? value.split(",").map(Number) : [];
    if (bounds.length < 2 || bounds.some((bound, i) => bound <= (bounds[i - 1] ?? -1))) {
      throw new UsageError(
        `Cannot use ${option} ${JSON.stringify(value)}: expected ascending positions such as 0,256,512`,
      );
    }
    return bounds;
  },
};

/** Options of both commands. */
export const evaluationOptions = {
  "lengths": lengthsOption,
  "stride": integer(`Tokens from one sliding window to the next, ${DEFAULT_STRIDE} or less unless given`, {
    min: 1,
    max: 2 ** 30,
  }),
  "truncate": flag("One pass of each document, cut to the window"),
  "windows": text(
    "FILE",
    `Measure ${SAMPLED_TARGETS} targets at the places of a JSON file, [{file, end}], end in text tokens`,
  ),
  "buckets": bucketsOption,
  "min-tokens": integer("Skip documents of fewer tokens", { min: 2, max: 2 ** 30 }),
  "samples": integer("Take the first N documents that are long enough", { min: 1, max: 2 ** 30 }),
  "field": text("NAME", "Field of a JSON Lines file with the text, text unless given"),
  "resume": text("FILE", "Keep what was measured in a file, and go on from it"),
  "csv": text("FILE", "Write the rows as CSV"),
  "svg": text("FILE", "Write a plot of the rows as SVG"),
  ...modelOptions,
};

/** What was measured. */
export interface Evaluation {
  /** Rows by scaling and length. */
  readonly rows: readonly PerplexityRow[];
  /** How it was measured, in words and numbers. */
  readonly method: Readonly<Record<string, unknown>>;
}

/**
 * Measures what a command line asks for, and writes its CSV and SVG files.
 *
 * @param run The command's run; its positionals are MODEL and documents.
 * @param scalings The scalings to measure, or how to name the one that the model is loaded with.
 */
export async function evaluate(
  { positionals, values, terminal, signal }: Run<typeof evaluationOptions>,
  scalings: readonly NamedScaling[] | undefined,
): Promise<Evaluation> {
  const [source, ...paths] = positionals;
  if (source === undefined) throw new UsageError("Expected MODEL as argument 1");
  if (paths.length === 0) throw new UsageError("Expected FILES as argument 2: text files, .jsonl files or folders");
  const { windows, buckets } = values;
  const lengths = values.lengths ?? (buckets === undefined ? undefined : []);
  refuseMixtures(values);
  const longest = Math.max(...lengths ?? [], ...buckets ?? []);
  const contextLength = values["context-length"] ?? (lengths === undefined ? undefined : longest);
  if (contextLength !== undefined && longest > contextLength) {
    throw new UsageError(
      `Cannot measure at length ${longest} with --context-length ${contextLength}: expected no less`,
    );
  }
  const csv = values.csv === undefined ? undefined : await WholeFile.at("--csv", values.csv);
  const svg = values.svg === undefined ? undefined : await WholeFile.at("--svg", values.svg);
  const places = windows === undefined ? undefined : windowPlaces(windows, await readJsonFile("--windows", windows));
  const texts = await readDocuments(paths, values.field ?? "text");
  using model = await openModel(source, { ...values, "context-length": contextLength }, { terminal, signal });

  const { documents, windowEnds, skipped } = encodeDocuments(model, texts, places, values, (name) => {
    terminal.progress(`encode ${name}`);
  });
  const fewest = values["min-tokens"] ?? 2;
  if (skipped.length > 0) terminal.note(`note: skipped ${listed(skipped, `of fewer than ${fewest} tokens`)}`);
  if (documents.length === 0) {
    throw new UsageError(
      skipped.length > 0
        ? `Cannot measure perplexity: no document has ${fewest} tokens or more`
        : "Cannot measure perplexity: the files hold no document",
    );
  }
  const measured = windowEnds === undefined
    ? filledLengths(model, documents, lengths, terminal)
    : lengths ?? defaultLengths(model.contextLength);
  const named = scalings ?? [{ name: nameOf(model, values["rope-scaling"]), scaling: values["rope-scaling"] }];
  const method = methodOf(model, documents, {
    kind: windows !== undefined ? "sampled" : values.truncate ? "truncated" : "sliding",
    stride: values.stride,
    lengths: measured,
  });
  const records = values.resume === undefined ? undefined : await EvaluationState.open(values.resume, {
    model: await modelFingerprint(source, [model.plan.weights, model.plan.kvCache]),
    documents: await documentsFingerprint(documents),
    method: await hashOf([JSON.stringify([values.stride ?? DEFAULT_STRIDE, values.truncate, windowEnds])]),
  });
  if (records !== undefined && records.windows > 0) {
    terminal.note(`note: --resume knows ${counted(records.windows, "window")}`);
  }
  let rows: PerplexityRow[];
  try {
    rows = await perplexity(model, documents, {
      lengths: measured,
      scalings: named,
      ...(values.stride === undefined ? {} : { stride: values.stride }),
      truncate: values.truncate,
      ...(windowEnds === undefined ? {} : { windowEnds }),
      ...(buckets === undefined ? {} : { buckets }),
      ...(records === undefined ? {} : { records }),
      signal,
      onProgress: (progress) => terminal.progress(progressLine(progress)),
    });
  } finally {
    await records?.flush();
    if (signal.aborted && records !== undefined) {
      terminal.note(`note: --resume has ${counted(records.windows, "window")}; the same command goes on from there`);
    }
  }
  await csv?.write(perplexityCsv(rows));
  await svg?.write(perplexityPlot(rows, `Perplexity of ${nameOfPath(source)}`));
  return { rows, method };
}

function refuseMixtures(
  { windows, truncate, stride, buckets, lengths, svg, csv, resume }: Run<typeof evaluationOptions>["values"],
): void {
  const both = (one: string, other: string) => {
    throw new UsageError(`Cannot use ${one} with ${other}: they cut documents in different ways`);
  };
  if (windows !== undefined && truncate) both("--windows", "--truncate");
  if (windows !== undefined && stride !== undefined) both("--windows", "--stride");
  if (truncate && stride !== undefined) both("--truncate", "--stride");
  if (buckets !== undefined && windows === undefined) throw new UsageError("Cannot use --buckets without --windows");
  if (svg !== undefined && buckets !== undefined && lengths === undefined) {
    throw new UsageError("Cannot draw --svg of --buckets alone: give --lengths too");
  }
  expectDifferentFiles({ "--resume": resume, "--csv": csv, "--svg": svg });
}

function windowPlaces(path: string, value: unknown): { file: string; end: number }[] {
  const isPlace = (place: { file?: unknown; end?: unknown } | null) =>
    typeof place?.file === "string" && Number.isSafeInteger(place.end) && (place.end as number) > 0;
  if (!Array.isArray(value) || value.length === 0 || !value.every(isPlace)) {
    throw new UsageError(`Cannot use --windows ${JSON.stringify(path)}: expected a JSON array of {file, end}`);
  }
  return value;
}

/** Encodes what is measured on: the documents that windows name, or those that are long enough. */
function encodeDocuments(
  { tokenizer }: Model,
  texts: readonly TextDocument[],
  places: readonly { file: string; end: number }[] | undefined,
  { "min-tokens": minTokens, samples }: Run<typeof evaluationOptions>["values"],
  onDocument: (name: string) => void,
): { documents: EvalDocument[]; skipped: EvalDocument[]; windowEnds?: WindowEnd[] } {
  const encode = (document: TextDocument): EvalDocument => {
    onDocument(document.name);
    return encodeDocument(tokenizer, document);
  };
  if (places === undefined) {
    const { kept, skipped } = chooseDocuments(texts.map(encode), {
      ...(minTokens === undefined ? {} : { minTokens }),
      ...(samples === undefined ? {} : { samples }),
    });
    return { documents: kept, skipped };
  }
  const names = [...new Set(places.map(({ file }) => file))];
  const documents = names.map((file) => {
    const found = texts.filter(({ name }) => name === file || name.replaceAll("\\", "/").endsWith(`/${file}`));
    if (found.length !== 1) {
      throw new UsageError(
        `Cannot find ${JSON.stringify(file)} of --windows: ${found.length} documents have that name`,
      );
    }
    return encode(found[0]!);
  });
  return {
    documents,
    skipped: [],
    windowEnds: places.map(({ file, end }) => ({ document: names.indexOf(file), end })),
  };
}
