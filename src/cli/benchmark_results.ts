/**
 * Measured perplexities beside published ones, as a table for the terminal and as a section for a model card.
 *
 * @module
 */
import manifest from "../../deno.json" with { type: "json" };
import type { PerplexityRow } from "../eval/perplexity.ts";
import type { Evaluation } from "./evaluation.ts";
import { alignedTable } from "./table.ts";

/** A row and the figure that was published for it. */
export interface ComparedRow extends PerplexityRow {
  /** Undefined where nothing was published. */
  readonly published: number | undefined;
}

/** What the figures are of. */
export interface BenchmarkSubject {
  /** The model that was measured. */
  readonly model: string;
  /** The documents' origin. */
  readonly corpus: string;
  /** The model that the published figures are of. */
  readonly published: string;
}

const HEADER = ["Context length", "Perplexity", "Published", "Difference", "Documents"];

/** The table for the terminal. */
export function benchmarkTable(rows: readonly ComparedRow[]): string {
  return alignedTable([HEADER.map((name) => name.toLowerCase()), ...cellsOf(rows)]);
}

/** The section of a model card, in Markdown. */
export function benchmarkSection(
  rows: readonly ComparedRow[],
  method: Evaluation["method"],
  { model, corpus, published }: BenchmarkSubject,
): string {
  const cells = [HEADER, ...cellsOf(rows)];
  const widths = HEADER.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const lines = cells.map((row) => `| ${row.map((cell, i) => cell.padStart(widths[i]!)).join(" | ")} |\n`);
  lines.splice(1, 0, `| ${widths.map((width) => `${"-".repeat(width - 1)}:`).join(" | ")} |\n`);
  const lengths = (method.documents as readonly { tokens: number }[]).map(({ tokens }) => tokens);
  return `## Benchmark results

Perplexity of ${model} on ${corpus}, measured by Skein ${manifest.version}, beside the figures published for ${published}.

${lines.join("")}
- Protocol: ${method.protocol}
- Perplexity: ${method.perplexity}
- Documents: ${lengths.length}, of ${[...new Set([Math.min(...lengths), Math.max(...lengths)])].join(" to ")} tokens
- Weights ${
    method.weights === "auto" ? "as the checkpoint has them" : `in ${method.weights}`
  }, keys and values in ${method.kv_cache}, on ${method.device}
`;
}

function cellsOf(rows: readonly ComparedRow[]): string[][] {
  return rows.map(({ contextLength, perplexity, published, windows }) => [
    String(contextLength),
    perplexity.toFixed(4),
    published?.toFixed(4) ?? "",
    published === undefined ? "" : `${(100 * (perplexity / published - 1)).toFixed(2)}%`,
    String(windows),
  ]);
}
