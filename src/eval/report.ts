/**
 * Perplexities as CSV and as a plot.
 *
 * @module
 */
import type { PerplexityRow } from "./perplexity.ts";

/** The rows as CSV (RFC 4180, LF), with a header. */
export function perplexityCsv(rows: readonly PerplexityRow[]): string {
  const lines = rows.map((row) => [
    row.scaling,
    row.contextLength,
    row.positions?.[0] ?? "",
    row.positions?.[1] ?? "",
    row.perplexity,
    row.tokenPerplexity,
    row.tokens,
    row.windows,
  ]);
  const header = "scaling,context_length,from_position,to_position,perplexity,token_perplexity,tokens,windows";
  return `${[header, ...lines.map((line) => line.map(csvField).join(","))].join("\n")}\n`;
}

function csvField(value: string | number): string {
  const text = String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Colours that stay apart for every kind of colour vision (Okabe and Ito), each with a mark of its own. */
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];
const MARKS = ["M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z", "M-4 -4h8v8h-8z", "M0 -5l5 9h-10z", "M0 -5l5 5l-5 5l-5 -5z"];

const SIZE = { width: 720, height: 440, left: 64, right: 190, top: 44, bottom: 52 };

/** Pixels from one name of the legend to the next. */
const LEGEND_LINE = 20;

/** Perplexity by context length, both logarithmic, one line a scaling, as an SVG document. Rows of buckets stay out. */
export function perplexityPlot(rows: readonly PerplexityRow[], title: string): string {
  const drawn = rows.filter(({ positions, perplexity }) => positions === undefined && Number.isFinite(perplexity));
  const names = [...new Set(drawn.map(({ scaling }) => scaling))];
  const lengths = [...new Set(drawn.map(({ contextLength }) => contextLength))].sort((a, b) => a - b);
  const ticks = ticksOf(drawn.map(({ perplexity }) => perplexity));
  const { width, left, right, top, bottom } = SIZE;
  const height = Math.max(SIZE.height, top + LEGEND_LINE * (names.length + 1) + bottom);
  const x = scaleOf(lengths, left, width - right);
  const y = scaleOf(ticks, height - bottom, top);
  const lines = names.map((name, index) => {
    const points = drawn.filter(({ scaling }) => scaling === name).sort((a, b) => a.contextLength - b.contextLength)
      .map(({ contextLength, perplexity }) => [x(contextLength), y(perplexity)] as const);
    const colour = COLOURS[index % COLOURS.length]!;
    const mark = MARKS[index % MARKS.length]!;
    const legendY = top + 8 + LEGEND_LINE * index;
    const legendX = width - right + 20;
    const path = points.map(([px, py]) => `${px},${py}`).join(" ");
    return `<g stroke="${colour}" fill="${colour}"><title>${escaped(name)}</title>
<polyline points="${path}" fill="none" stroke-width="2"/>
${points.map(([px, py]) => `<path d="${mark}" transform="translate(${px} ${py})"/>`).join("\n")}
<path d="M${legendX} ${legendY}h24" stroke-width="2"/><path d="${mark}" transform="translate(${
      legendX + 12
    } ${legendY})"/>
<text x="${legendX + 32}" y="${legendY + 4}" stroke="none" fill="#222">${escaped(shortened(name))}</text></g>`;
  });
  const grid = ticks.map((tick) =>
    `<path d="M${left} ${y(tick)}H${width - right}" stroke="#ddd"/>
<text x="${left - 8}" y="${y(tick) + 4}" text-anchor="end">${tick}</text>`
  );
  const columns = spaced(lengths, x).map((length) =>
    `<path d="M${x(length)} ${height - bottom}v5" stroke="#222"/>
<text x="${x(length)}" y="${height - bottom + 20}" text-anchor="middle">${length}</text>`
  );
  const middle = (left + width - right) / 2;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" \
role="img" font-family="sans-serif" font-size="12" fill="#222">
<title>${escaped(title)}</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="${left}" y="22" font-size="15">${escaped(title)}</text>
${[...grid, ...columns].join("\n")}
<path d="M${left} ${top}V${height - bottom}H${width - right}" fill="none" stroke="#222"/>
<text x="${middle}" y="${height - 12}" text-anchor="middle">context length in tokens</text>
<text transform="translate(16 ${(top + height - bottom) / 2}) rotate(-90)" text-anchor="middle">perplexity</text>
${lines.join("\n")}
</svg>
`;
}

/** Places values between two pixels by their logarithm; a single one in the middle. */
function scaleOf(values: readonly number[], from: number, to: number): (value: number) => number {
  const low = Math.log(Math.min(...values));
  const high = Math.log(Math.max(...values));
  return (value) => {
    const share = high > low ? (Math.log(value) - low) / (high - low) : 0.5;
    return Math.round((from + share * (to - from)) * 10) / 10;
  };
}

/** 1, 2 and 5 times powers of ten around all values; powers of ten alone where those would be many. */
function ticksOf(values: readonly number[]): number[] {
  const low = Math.floor(Math.log10(Math.min(...values)));
  const high = Math.ceil(Math.log10(Math.max(...values)));
  const steps = high - low > 4 ? [1] : [1, 1.5, 2, 3, 5, 7];
  const all: number[] = [];
  for (let power = low; power <= high; power++) all.push(...steps.map((step) => Number(`${step}e${power}`)));
  const first = all.findLastIndex((tick) => tick <= Math.min(...values));
  const last = all.findIndex((tick) => tick >= Math.max(...values));
  return all.slice(first, Math.max(last, first + 1) + 1);
}

/** The lengths whose labels do not run into each other. */
function spaced(lengths: readonly number[], x: (length: number) => number): number[] {
  const kept: number[] = [];
  for (const length of lengths) if (kept.length === 0 || x(length) - x(kept.at(-1)!) >= 40) kept.push(length);
  return kept;
}

function shortened(name: string): string {
  return name.length > 18 ? `${name.slice(0, 17)}…` : name;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
