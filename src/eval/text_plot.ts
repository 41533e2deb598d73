/**
 * Perplexities as a plot of characters.
 *
 * @module
 */
import type { PerplexityRow } from "./perplexity.ts";

const MARKS = ["●", "▲", "■", "◆", "○", "△", "□", "◇"];

/** Characters from one length to the next. */
const COLUMN = 9;

/** Intervals between the labels of the lines. */
const LABELS = 4;

/**
 * Perplexity on a logarithmic scale by context length, one mark a scaling, with a legend below. Where two scalings meet,
 * the first one's mark stands. Rows of buckets stay out, and so do values that are not finite.
 *
 * @param height Lines from the highest value to the lowest; a multiple of 4, so that the labels are spaced evenly.
 * @returns Lines of text; empty where nothing is to be drawn.
 */
export function perplexityTextPlot(rows: readonly PerplexityRow[], height = 12): string {
  const drawn = rows.filter(({ positions, perplexity }) => positions === undefined && Number.isFinite(perplexity));
  if (drawn.length === 0) return "";
  const names = [...new Set(drawn.map(({ scaling }) => scaling))];
  const lengths = [...new Set(drawn.map(({ contextLength }) => contextLength))].sort((a, b) => a - b);
  const low = Math.log(Math.min(...drawn.map(({ perplexity }) => perplexity)));
  const high = Math.log(Math.max(...drawn.map(({ perplexity }) => perplexity)));
  const grid = Array.from({ length: height + 1 }, () => new Array<string>(lengths.length * COLUMN).fill(" "));
  for (const { scaling, contextLength, perplexity } of drawn.toReversed()) {
    const share = high > low ? (Math.log(perplexity) - low) / (high - low) : 0.5;
    const line = grid[Math.round((1 - share) * height)]!;
    line[lengths.indexOf(contextLength) * COLUMN + (COLUMN >> 1)] = MARKS[names.indexOf(scaling) % MARKS.length]!;
  }
  const labels = grid.map((_, i) =>
    i % (height / LABELS) === 0 ? Math.exp(high - (i / height) * (high - low)).toPrecision(3) : ""
  ).map((label) => label === "" ? "" : String(Number(label)));
  const width = Math.max(...labels.map((label) => label.length));
  const body = grid.map((line, i) => `${labels[i]!.padStart(width)} │${line.join("")}`.trimEnd());
  const axis = `${" ".repeat(width)} └${"─".repeat(lengths.length * COLUMN)}`;
  const ticks = lengths.map((length) => centred(String(length))).join("");
  const legend = names.map((name, i) => `${MARKS[i % MARKS.length]} ${name}`).join("   ");
  const indent = " ".repeat(width + 2);
  return [...body, axis, `${indent}${ticks}`.trimEnd(), `${indent}${legend}`].map((line) => `${line}\n`).join("");
}

function centred(text: string): string {
  return text.padStart((COLUMN + text.length + 1) >> 1).padEnd(COLUMN);
}
