/**
 * Results as CSV, and perplexities as a plot.
 *
 * @module
 */
import { listAxis, valueAxis } from "./log_axis.ts";
import type { PasskeyAnswer } from "./passkey.ts";
import type { PerplexityRow } from "./perplexity.ts";

/** The rows as CSV (RFC 4180, LF), with a header. */
export function perplexityCsv(rows: readonly PerplexityRow[]): string {
  const header = "scaling,context_length,from_position,to_position,perplexity,token_perplexity,tokens,windows";
  return csv([
    header.split(","),
    ...rows.map((row) => [
      row.scaling,
      row.contextLength,
      row.positions?.[0] ?? "",
      row.positions?.[1] ?? "",
      row.perplexity,
      row.tokenPerplexity,
      row.tokens,
      row.windows,
    ]),
  ]);
}

/** The answers as CSV (RFC 4180, LF), with a header. */
export function passkeyCsv(answers: readonly PasskeyAnswer[]): string {
  return csv([
    ["context_length", "depth", "key", "answer", "found"],
    ...answers.map((each) => [each.contextLength, each.depth, each.key, each.answer, String(each.found)]),
  ]);
}

function csv(lines: readonly (readonly (string | number)[])[]): string {
  return lines.map((line) => `${line.map(csvField).join(",")}\n`).join("");
}

function csvField(value: string | number): string {
  const text = String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * Colours that stay apart for every kind of colour vision (Okabe and Ito), on white and, lightened, on black. Lines have
 * a mark of their own as well.
 */
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];
const COLOURS_ON_DARK = ["#4aa3df", "#ff7f2a", "#2fc79a", "#e39cc0", "#f0b429", "#a3dcff", "#ffffff"];
const MARKS = ["M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z", "M-4 -4h8v8h-8z", "M0 -5l5 9h-10z", "M0 -6l6 6l-6 6l-6 -6z"];

/** Pixels of the picture and around the plot; the names of the lines stand to the right of it. */
const SIZE = { plotWidth: 480, plotHeight: 340, left: 84, top: 48, bottom: 60, legend: 62 };

/** Pixels from one name of the legend to the next, of a character in it, and from one length's label to the next. */
const LEGEND_LINE = 22;
const CHARACTER = 7;
const LABEL = 44;

/** Characters of a name that are shown. */
const NAME = 40;

/** A picture follows the reader's choice of dark or light; programs that know no style sheets show the light one. */
const STYLE = `<style>@media (prefers-color-scheme: dark) {
.paper { fill: #0d1117 } text { fill: #e6edf3 } .axis { stroke: #e6edf3 } .grid { stroke: #30363d }
${COLOURS_ON_DARK.map((colour, i) => `.line${i} { stroke: ${colour}; fill: ${colour} }`).join(" ")}
}</style>`;

/**
 * Perplexity by context length, both logarithmic, one line a scaling, as an SVG document. Rows of buckets stay out, and
 * so do perplexities that are not finite.
 */
export function perplexityPlot(rows: readonly PerplexityRow[], title: string): string {
  const drawn = rows.filter(({ positions, perplexity }) => positions === undefined && Number.isFinite(perplexity));
  const names = [...new Set(drawn.map(({ scaling }) => scaling))];
  const { left, top, bottom, legend } = SIZE;
  const right = left + SIZE.plotWidth;
  const floor = top + Math.max(SIZE.plotHeight, LEGEND_LINE * names.length);
  const width = right + legend + CHARACTER * Math.max(8, ...names.map((name) => shortened(name).length));
  const height = floor + bottom;
  // A picture of nothing still has its axes.
  const x = listAxis(drawn.length > 0 ? drawn.map(({ contextLength }) => contextLength) : [1], left + 20, right, LABEL);
  const y = valueAxis(drawn.length > 0 ? drawn.map(({ perplexity }) => perplexity) : [1], floor, top);
  const grid = y.ticks.map((tick) =>
    `<path class="grid" d="M${left} ${y.at(tick)}H${right}" stroke="#ddd"/>
<text x="${left - 8}" y="${y.at(tick) + 4}" text-anchor="end">${y.label(tick)}</text>`
  );
  const columns = x.ticks.map((tick) =>
    `<path class="axis" d="M${x.at(tick)} ${floor}v5" stroke="#222"/>
<text x="${x.at(tick)}" y="${floor + 20}" text-anchor="middle">${x.label(tick)}</text>`
  );
  const lines = names.map((name, index) => {
    const points = drawn.filter(({ scaling }) => scaling === name).sort((a, b) => a.contextLength - b.contextLength)
      .map(({ contextLength, perplexity }) => [x.at(contextLength), y.at(perplexity)] as const);
    const style = index % COLOURS.length;
    const mark = MARKS[index % MARKS.length]!;
    const [keyX, keyY] = [right + 20, top + 8 + LEGEND_LINE * index];
    return `<g class="line${style}" stroke="${COLOURS[style]}" fill="${COLOURS[style]}"><title>${escaped(name)}</title>
<polyline points="${points.join(" ")}" fill="none" style="fill: none" stroke-width="2" stroke-linejoin="round"/>
${points.map(([px, py]) => `<path d="${mark}" transform="translate(${px} ${py})"/>`).join("\n")}
<path d="M${keyX} ${keyY}h26" stroke-width="2"/><path d="${mark}" transform="translate(${keyX + 13} ${keyY})"/>
<text x="${keyX + 34}" y="${keyY + 4}" stroke="none" style="stroke: none" fill="#222">${escaped(shortened(name))}</text>
</g>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" \
role="img" font-family="sans-serif" font-size="12" fill="#222">
<title>${escaped(title)}</title>
${STYLE}
<rect class="paper" width="100%" height="100%" fill="#fff"/>
<text x="${left}" y="26" font-size="15">${escaped(title)}</text>
${[...grid, ...columns].join("\n")}
<path class="axis" d="M${left} ${top}V${floor}H${right}" fill="none" stroke="#222"/>
<text x="${(left + right) / 2}" y="${height - 16}" text-anchor="middle">context length in tokens (log scale)</text>
<text transform="translate(18 ${(top + floor) / 2}) rotate(-90)" text-anchor="middle">perplexity (log scale)</text>
${lines.join("\n")}
</svg>
`;
}

function shortened(name: string): string {
  return name.length > NAME ? `${name.slice(0, NAME - 1)}…` : name;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
