/**
 * Perplexity by context length, as jquesnelle/yarn's eval/perplexity.py measures it, on sliding or sampled windows, for
 * one RoPE scaling or several.
 *
 * @module
 */
import { encodeDocument, type EvalDocument, type TextDocument } from "./documents.ts";
import type { Scalable, Scorer } from "./scorer.ts";
import { costOf, type Job, jobName, type Part, type Pass, type PassOptions, planJobs } from "./passes.ts";

/** How to measure. */
export interface PerplexityOptions extends PassOptions {
  /** Keeps what windows gave, so that an interrupted evaluation goes on where it stopped. */
  readonly records?: WindowRecords;
  /** Aborting ends the evaluation within one submit; it then throws the signal's reason. */
  readonly signal?: AbortSignal;
  /** Told how far the evaluation has come. */
  readonly onProgress?: (progress: EvalProgress) => void;
  /** Told each row when it is done. */
  readonly onRow?: (row: PerplexityRow) => void;
}

/** What windows of earlier runs gave. */
export interface WindowRecords {
  /** Sums of negative log-likelihoods of a job, which may give several rows: one list a window, in the windows' order. */
  of(job: string): readonly (readonly number[])[];
  /** Adds a window. */
  add(job: string, sums: readonly number[]): Promise<void>;
}

/** How far an evaluation has come. */
export interface EvalProgress {
  /** The scaling at work. */
  readonly scaling: string;
  /** The context length at work. */
  readonly contextLength: number;
  /** Windows of the row that are done. */
  readonly windows: number;
  /** Windows of the row. */
  readonly totalWindows: number;
  /** Seconds that the whole evaluation still takes, by its speed so far; undefined before anything is known. */
  readonly secondsLeft: number | undefined;
}

/** Perplexity at one context length. */
export interface PerplexityRow {
  /** The scaling's name; "own" where none was asked for. */
  readonly scaling: string;
  /** Tokens of a window, BOS included. */
  readonly contextLength: number;
  /** First and last (exclusive) position of the targets in their windows, where the row is a bucket. */
  readonly positions?: readonly [number, number];
  /** exp of the unweighted mean over windows of each window's mean negative log-likelihood. */
  readonly perplexity: number;
  /** exp of the mean negative log-likelihood of all tokens that count. */
  readonly tokenPerplexity: number;
  /** Tokens that count. */
  readonly tokens: number;
  /** Windows that they are in. */
  readonly windows: number;
}

/**
 * Measures perplexity, row by row.
 *
 * @param model The model; its scaling is given back at the end where `scalings` are compared.
 * @param documents What it is measured on, as text or as token ids without special tokens.
 * @returns Rows by scaling and length; the rows of buckets after those of the scaling's lengths.
 * @throws {RangeError} If a length, the stride, a bound or a window is out of range; nothing was measured then.
 * @throws {FormatError} If a scaling is unknown; nothing was measured then.
 *
 * @example Measure a book at two context lengths
 * ```ts
 * import { loadModel, perplexity } from "@skein/skein";
 *
 * using model = await loadModel("tests/testdata/pg-nano-yarn-2k");
 * const text = await Deno.readTextFile("tests/testdata/pg19/keith_of_the_border.txt");
 * const chapter = { name: "Keith of the Border", text: text.slice(0, 2000) };
 * for (const row of await perplexity(model, [chapter], { lengths: [256, 512] })) {
 *   console.log(row.contextLength, row.perplexity);
 * }
 * ```
 */
export async function perplexity(
  model: Scorer & Partial<Scalable>,
  documents: readonly (TextDocument | EvalDocument)[],
  options: PerplexityOptions,
): Promise<PerplexityRow[]> {
  const { signal, records, onProgress, onRow, scalings } = options;
  const encoded = documents.map((document) => encodeDocument(model.tokenizer, document));
  const jobs = planJobs(model, encoded, options);
  const rows: PerplexityRow[] = [];
  try {
    // A scaling that is wrong ends the evaluation now, not after the hours that those before it take.
    for (const { scaling } of scalings ?? []) model.scaleRope!(scaling);
    const clock = new Clock(jobs, records);
    for (const job of jobs) {
      const name = jobName(job);
      const sums = [...records?.of(name) ?? []];
      if (scalings !== undefined && sums.length < job.passes.length) model.scaleRope!(job.scaling.scaling);
      const tell = (share: number) =>
        onProgress?.({
          scaling: job.scaling.name,
          contextLength: job.length,
          windows: sums.length,
          totalWindows: job.passes.length,
          secondsLeft: clock.secondsLeft(share),
        });
      for (const pass of job.passes.slice(sums.length)) {
        signal?.throwIfAborted();
        tell(0);
        const sum = await scorePass(model, pass, job, signal, (share) => tell(share * costOf(pass)));
        sums.push(sum);
        await records?.add(name, sum);
        clock.advance(costOf(pass));
      }
      for (const done of rowsOf(job, sums)) {
        rows.push(done);
        onRow?.(done);
      }
    }
  } finally {
    if (scalings !== undefined) model.scaleRope!();
  }
  return rows;
}

/** Sums of the negative log-likelihoods of a pass's targets, one for each part of the job. */
async function scorePass(
  model: Scorer,
  { document, begin, end, scored }: Pass,
  { parts }: Job,
  signal: AbortSignal | undefined,
  onShare: (share: number) => void,
): Promise<number[]> {
  const { bosId } = model.tokenizer;
  const before = bosId === undefined ? [] : [bosId];
  const ids = new Uint32Array(before.length + end - begin);
  ids.set(before);
  ids.set(document.tokens.subarray(begin, end), before.length);
  const { logprobs } = await model.score(ids, {
    last: scored,
    ...(signal === undefined ? {} : { signal }),
    onProgress: (done, total) => onShare(done / total),
  });
  const first = ids.length - 1 - scored;
  return parts.map(({ positions: [from, to] = [0, Infinity], last }) => {
    let sum = 0;
    for (let i = Math.max(0, scored - last); i < scored; i++) {
      if (first + i >= from && first + i < to) sum -= logprobs[i]!;
    }
    return sum;
  });
}

function rowsOf({ scaling, length, passes, parts }: Job, sums: readonly (readonly number[])[]): PerplexityRow[] {
  return parts.map(({ positions, last }: Part, part) => {
    const counts = passes.map(({ scored }) =>
      positions === undefined ? Math.min(last, scored) : positions[1] - positions[0]
    );
    const tokens = counts.reduce((sum, count) => sum + count, 0);
    const total = sums.reduce((sum, each) => sum + each[part]!, 0);
    const means = sums.reduce((sum, each, i) => sum + each[part]! / counts[i]!, 0);
    return {
      scaling: scaling.name,
      contextLength: length,
      ...(positions === undefined ? {} : { positions }),
      perplexity: Math.exp(means / passes.length),
      tokenPerplexity: Math.exp(total / tokens),
      tokens,
      windows: passes.length,
    };
  });
}

/** Estimates the time left by the tokens that went in. */
class Clock {
  readonly #started = performance.now();
  #left: number;
  #done = 0;

  constructor(jobs: readonly Job[], records: WindowRecords | undefined) {
    this.#left = jobs.flatMap((job) => job.passes.slice(records?.of(jobName(job)).length ?? 0))
      .reduce((sum, pass) => sum + costOf(pass), 0);
  }

  advance(cost: number): void {
    this.#done += cost;
    this.#left -= cost;
  }

  secondsLeft(share: number): number | undefined {
    const done = this.#done + share;
    return done > 0 ? ((performance.now() - this.#started) / 1000 / done) * (this.#left - share) : undefined;
  }
}
