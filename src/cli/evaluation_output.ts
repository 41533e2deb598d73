/**
 * What `perplexity` and `compare` say: names, the method, progress, and rows.
 *
 * @module
 */
import type { EvalDocument } from "../eval/documents.ts";
import { DEFAULT_STRIDE, type NamedScaling } from "../eval/passes.ts";
import type { EvalProgress, PerplexityRow } from "../eval/perplexity.ts";
import { SAMPLED_TARGETS } from "../eval/windows.ts";
import type { Model } from "../../mod.ts";
import { counted } from "./counted.ts";

/** The name of the scaling that a model runs with, where the user gave none. */
export function nameOf({ config }: Model, choice: NamedScaling["scaling"]): string {
  if (choice === "none") return "none";
  if (choice === undefined) {
    const { type, ...rest } = config.ropeScaling;
    return "factor" in rest ? `${type}:${rest.factor}` : type;
  }
  const { rope_type: type, factor, ...rest } = choice;
  return Object.keys(rest).length === 0 && factor !== undefined ? `${type}:${factor}` : JSON.stringify(choice);
}

/** What a file or folder is called. */
export function nameOfPath(path: string): string {
  return path.replace(/[\\/]+$/, "").replace(/^.*[\\/]/, "");
}

/** How documents are cut. */
export interface Cut {
  /** Sliding windows, one pass of each document, or given places. */
  readonly kind: "sliding" | "truncated" | "sampled";
  /** Tokens from one sliding window's begin to the next one's, if the user gave them. */
  readonly stride: number | undefined;
  /** Context lengths. */
  readonly lengths: readonly number[];
}

/** What was measured and how, as the JSON document has it. */
export function methodOf(
  model: Model,
  documents: readonly EvalDocument[],
  { kind, stride, lengths }: Cut,
): Record<string, unknown> {
  const hasBos = model.tokenizer.bosId !== undefined;
  const begin = hasBos ? "BOS and the length - 1 tokens" : "The length tokens";
  const sideBySide = stride === undefined && Math.min(...lengths) <= DEFAULT_STRIDE;
  const protocols = {
    sliding:
      "eval/perplexity.py of jquesnelle/yarn: sliding windows; each scores the tokens that the one before has not" +
      (sideBySide ? `; those of ${DEFAULT_STRIDE} tokens or less do not overlap` : ""),
    truncated: "eval/perplexity.py of jquesnelle/yarn with --truncate: one pass of each document, cut to the length",
    sampled: `${begin} before the last target go in; the last ${SAMPLED_TARGETS} targets of each window count`,
  };
  return {
    protocol: protocols[kind],
    bos: hasBos,
    ...(kind === "sliding" ? { stride: stride ?? DEFAULT_STRIDE } : {}),
    perplexity: "exp of the unweighted mean over all windows of each window's mean negative log-likelihood",
    token_perplexity: "exp of the mean negative log-likelihood over all tokens that count",
    documents: documents.map(({ name, tokens }) => ({ name, tokens: tokens.length })),
    weights: model.plan.weights,
    kv_cache: model.plan.kvCache,
    device: model.deviceName,
  };
}

/** Where an evaluation is, in one line. */
export function progressLine({ scaling, contextLength, windows, totalWindows, secondsLeft }: EvalProgress): string {
  const left = secondsLeft === undefined ? "" : `, ${duration(secondsLeft)} left`;
  return `${scaling} at ${contextLength}: window ${windows + 1} of ${totalWindows}${left}`;
}

/** A time in the two largest units that it has. */
export function duration(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.ceil(whole / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A number of documents and the names of the first of them. */
export function listed(documents: readonly EvalDocument[], suffix: string): string {
  const names = documents.slice(0, 3).map(({ name }) => name).join(", ");
  return `${counted(documents.length, "document")} ${suffix}: ${names}${documents.length > 3 ? ", ..." : ""}`;
}

/** The rows as the JSON document has them. */
export function jsonRows(rows: readonly PerplexityRow[]): Record<string, unknown>[] {
  return rows.map((row) => ({
    scaling: row.scaling,
    context_length: row.contextLength,
    ...(row.positions === undefined ? {} : { positions: row.positions }),
    perplexity: row.perplexity,
    token_perplexity: row.tokenPerplexity,
    tokens: row.tokens,
    windows: row.windows,
  }));
}
