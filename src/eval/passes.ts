/**
 * The forward passes that an evaluation takes, planned before the first one.
 *
 * @module
 */
import type { RopeChoice } from "../model/rope_choice.ts";
import type { EvalDocument } from "./documents.ts";
import type { Scorer } from "./scorer.ts";
import { type EvalWindow, SAMPLED_TARGETS, sampledWindow, slidingWindows, type WindowEnd } from "./windows.ts";

/** A RoPE scaling under the name that results carry. */
export interface NamedScaling {
  /** The name. */
  readonly name: string;
  /** The scaling; undefined for the model's own. */
  readonly scaling: RopeChoice | undefined;
}

/** What to measure at. */
export interface PassOptions {
  /** Context lengths in tokens, BOS included; a row for each. */
  readonly lengths: readonly number[];
  /** Scalings to compare; a block of rows for each. Default: what the model has. */
  readonly scalings?: readonly NamedScaling[];
  /** Tokens from one sliding window's begin to the next one's. Default: 256, and one less than the length up to there. */
  readonly stride?: number;
  /** One pass of each document, cut to the window. @default {false} */
  readonly truncate?: boolean;
  /** Measure the last 256 targets before these places, in place of sliding windows over everything. */
  readonly windowEnds?: readonly WindowEnd[];
  /**
   * Bounds of position buckets, ascending: also measures every target of windows as long as the last bound, by where
   * it stands. With `windowEnds` only.
   */
  readonly buckets?: readonly number[];
}

/** One forward pass. */
export interface Pass extends EvalWindow {
  /** The document that its tokens are from. */
  readonly document: EvalDocument;
}

/** Which targets of a job's passes make a row. */
export interface Part {
  /** First and last (exclusive) position of the targets in their windows; undefined where it does not matter. */
  readonly positions?: readonly [number, number];
  /** Only the last so many targets of a pass; Infinity for all that it scores. */
  readonly last: number;
}

/** Passes, and the rows that they give. */
export interface Job {
  /** The scaling to use. */
  readonly scaling: NamedScaling;
  /** Tokens of a window, BOS included. */
  readonly length: number;
  /** The passes in order. */
  readonly passes: readonly Pass[];
  /** The rows. */
  readonly parts: readonly Part[];
}

/** The stride of the paper, for windows that are longer. */
export const DEFAULT_STRIDE = 256;

/**
 * All passes, by scaling and length; those for buckets after those for a scaling's lengths.
 *
 * @throws {RangeError} If a length, the stride, a bound or a window is out of range, or there is nothing to predict.
 */
export function planJobs(model: Scorer, documents: readonly EvalDocument[], options: PassOptions): Job[] {
  const { lengths, scalings = [{ name: "own", scaling: undefined }], windowEnds, buckets } = options;
  if (buckets !== undefined) {
    if (windowEnds === undefined) throw new RangeError("Cannot split positions into buckets without window ends");
    const bad = buckets.findIndex((bound, i) => !Number.isInteger(bound) || bound <= (buckets[i - 1] ?? -1));
    if (buckets.length < 2 || bad >= 0) {
      throw new RangeError(`Cannot use buckets ${buckets.join(",")}: expected two or more ascending whole numbers`);
    }
  }
  for (const length of [...lengths, ...buckets?.slice(-1) ?? []]) {
    if (!Number.isInteger(length) || length < 2 || length > model.contextLength) {
      throw new RangeError(
        `Cannot measure at length ${length}: expected 2 to the context length ${model.contextLength}`,
      );
    }
  }
  const longest = buckets?.at(-1);
  // The passes for the buckets predict the targets of a row of their length too.
  const plain = lengths.filter((length) => length !== longest).map((length) => ({
    length,
    passes: passesOf(model, documents, options, length),
    parts: [{ last: Infinity }],
  }));
  const split = buckets === undefined ? [] : [{
    length: longest!,
    passes: passesOf(model, documents, options, longest!, Infinity),
    parts: [
      ...lengths.includes(longest!) ? [{ last: SAMPLED_TARGETS }] : [],
      ...buckets.slice(1).map((to, i): Part => ({ positions: [buckets[i]!, to], last: Infinity })),
    ],
  }];
  if ([...plain, ...split].some(({ passes }) => passes.length === 0)) {
    throw new RangeError(
      `Cannot measure perplexity: none of the documents (${documents.length}) has tokens to predict`,
    );
  }
  return scalings.flatMap((scaling) => [...plain, ...split].map((job) => ({ scaling, ...job })));
}

function passesOf(
  { tokenizer }: Scorer,
  documents: readonly EvalDocument[],
  options: PassOptions,
  length: number,
  scored: number = SAMPLED_TARGETS,
): Pass[] {
  // A window needs one token of what stands before it, which a stride as long as itself would not leave.
  const { windowEnds, stride = Math.min(DEFAULT_STRIDE, length - 1), truncate = false } = options;
  const hasBos = tokenizer.bosId !== undefined;
  if (windowEnds === undefined) {
    return documents.flatMap((document) =>
      slidingWindows(document.tokens.length, { length, stride, truncate, hasBos })
        .map((window) => ({ document, ...window }))
    );
  }
  return windowEnds.map(({ document: index, end }) => {
    const document = documents[index]!;
    const window = sampledWindow(end, length, scored, hasBos);
    if (window.begin < 0 || end > document.tokens.length) {
      throw new RangeError(
        `Cannot measure at length ${length} before token ${end} of ${document.name}: it has ${document.tokens.length} tokens`,
      );
    }
    return { document, ...window };
  });
}

/** A job's name in the records. The scaling itself and not its name: one scaling can be spelled in many ways. */
export function jobName({ scaling: { scaling }, length, parts }: Job): string {
  const places = parts.flatMap(({ positions, last }) =>
    positions === undefined ? last < Infinity ? `last ${last}` : [] : positions.join("-")
  );
  return [JSON.stringify(scaling ?? "own"), length, ...places].join(" ");
}

/** What a pass takes, in tokens. */
export function costOf({ begin, end }: EvalWindow): number {
  return end - begin;
}
