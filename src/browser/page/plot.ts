/**
 * Perplexity by context length as a plot that follows the page's colours and width.
 *
 * @module
 */
import { counted } from "./elements.ts";

/** One line of a plot. */
export interface Series {
  /** What it is called. */
  readonly name: string;
  /** Context lengths, ascending, with their perplexities. */
  readonly points: readonly (readonly [contextLength: number, perplexity: number])[];
}

const SIZE = { height: 300, left: 48, right: 16, top: 16, bottom: 44 };

/** Pixels that keep two names apart. */
const LINE = 18;

/**
 * The plot as SVG. Both axes are logarithmic.
 *
 * @param series Lines, each with at least one point.
 * @param lengths All context lengths of the axis.
 * @param title What the plot shows, for those who do not see it.
 * @param width In pixels.
 */
export function plotSvg(series: readonly Series[], lengths: readonly number[], title: string, width: number): string {
  const { height, left, right, top, bottom } = SIZE;
  const values = series.flatMap(({ points }) => points.map(([, perplexity]) => perplexity));
  const ticks = ticksAround(Math.min(...values), Math.max(...values));
  const x = scale(lengths[0]!, lengths.at(-1)!, left + 12, width - right - 12);
  const y = scale(ticks[0]!, ticks.at(-1)!, height - bottom, top);
  const grid = ticks.map((tick) =>
    `<path class="grid" d="M${left} ${y(tick)}H${width - right}"/>` +
    `<text x="${left - 8}" y="${y(tick) + 4}" text-anchor="end">${counted(tick)}</text>`
  );
  const columns = lengths.map((length) =>
    `<text x="${x(length)}" y="${height - bottom + 20}" text-anchor="middle">${counted(length)}</text>`
  );
  // A name stands above the end of its line, or below where it would meet the one before.
  let taken = Infinity;
  const lines = series.map(({ name, points }, i) => {
    const [endX, endY] = [x(points.at(-1)![0]), y(points.at(-1)![1])];
    const above = endY - 10;
    const nameY = Math.abs(above - taken) < LINE || above < top ? endY + LINE + 4 : above;
    taken = nameY;
    const anchor = endX > width / 2 ? "end" : "start";
    return `<g class="series-${i}"><polyline points="${
      points.map(([at, value]) => `${x(at)},${y(value)}`).join(" ")
    }"/>` +
      points.map(([at, value]) => mark(i, x(at), y(value))).join("") +
      `<text class="name" x="${endX}" y="${nameY}" text-anchor="${anchor}">${escaped(name)}</text></g>`;
  });
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title)}">` +
    grid.join("") + columns.join("") + lines.join("") +
    `<text x="${(left + width - right) / 2}" y="${height - 6}" text-anchor="middle">tokens of context</text></svg>`;
}

function mark(series: number, x: number, y: number): string {
  return series === 0
    ? `<circle class="mark" cx="${x}" cy="${y}" r="4"/>`
    : `<path class="mark" d="M${x - 4} ${y - 4}h8v8h-8z"/>`;
}

/** Places values between two pixels by their logarithm; a single one in the middle. */
function scale(low: number, high: number, from: number, to: number): (value: number) => number {
  return (value) => {
    const share = high > low ? Math.log(value / low) / Math.log(high / low) : 0.5;
    return Math.round((from + share * (to - from)) * 10) / 10;
  };
}

/** 1, 1.5, 2, 3, 5 and 7 times powers of ten that enclose both values; powers alone where those would be many. */
function ticksAround(low: number, high: number): number[] {
  const powers = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))] as const;
  const steps = high / low > 200 ? [1] : high / low > 5 ? [1, 2, 5] : [1, 1.5, 2, 3, 5, 7];
  const all: number[] = [];
  for (let power = powers[0]; power <= powers[1]; power++) all.push(...steps.map((step) => Number(`${step}e${power}`)));
  const first = all.findLastIndex((tick) => tick <= low);
  const last = all.findIndex((tick) => tick >= high);
  return all.slice(first, Math.max(last, first + 1) + 1);
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
