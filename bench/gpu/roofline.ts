/**
 * A roofline plot (Williams, Waterman and Patterson, 2009): operations a second over operations per byte, under the
 * ceilings of the device.
 *
 * @module
 */
import type { Ceilings } from "../ceilings.ts";
import type { KernelRow } from "../kernels.ts";

const WIDTH = 880;
const HEIGHT = 560;
const MARGIN = { left: 84, right: 24, top: 48, bottom: 64 };

/** Kernel families, in the order of their colours. */
const FAMILIES = ["matvec", "matmul", "attention_decode", "attention_prefill"] as const;

const STYLE = `
  :root { color-scheme: light dark }
  text { font: 13px system-ui, sans-serif; fill: #333 }
  .back { fill: #fff } .grid { stroke: #ddd } .roof { stroke: #333; fill: none; stroke-width: 1.5 }
  .f0 { fill: #3465a4 } .f1 { fill: #c4640a } .f2 { fill: #3a7d2c } .f3 { fill: #8a3c8f }
  @media (prefers-color-scheme: dark) {
    text { fill: #ddd } .back { fill: #16181b } .grid { stroke: #333 } .roof { stroke: #ccc }
    .f0 { fill: #7aa7de } .f1 { fill: #f0a04b } .f2 { fill: #7fc46e } .f3 { fill: #cf8bd4 }
  }`;

/** Draws the kernels that say how many operations and bytes they need. */
export function rooflineSvg(device: string, ceilings: Ceilings, rows: readonly KernelRow[]): string {
  const points = rows.flatMap(({ kernel, shape, flops, bytes, bestMs }) => {
    const family = FAMILIES.findIndex((name) => kernel.startsWith(name));
    if (flops === undefined || bytes === undefined || family < 0) return [];
    return [{ family, name: `${kernel}, ${shape}`, intensity: flops / bytes, gflopPerS: flops / bestMs / 1e6 }];
  });
  const { copyGbPerS, fmaGflopPerS } = ceilings;
  const [x0, x1] = decades([0.25, ...points.map(({ intensity }) => intensity)]);
  const [y0, y1] = decades([fmaGflopPerS, x0 * copyGbPerS, ...points.map(({ gflopPerS }) => gflopPerS)]);
  const x = (value: number) =>
    MARGIN.left + (Math.log10(value / x0) / Math.log10(x1 / x0)) * (WIDTH - MARGIN.left - MARGIN.right);
  const y = (value: number) =>
    HEIGHT - MARGIN.bottom - (Math.log10(value / y0) / Math.log10(y1 / y0)) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const text = (left: number, top: number, content: string, anchor = "middle", more = "") =>
    `<text x="${left.toFixed(1)}" y="${top.toFixed(1)}" text-anchor="${anchor}" ${more}>${escape(content)}</text>`;
  const parts: string[] = [];
  for (let at = x0; at <= x1 * 1.001; at *= 10) {
    parts.push(`<line class="grid" x1="${x(at)}" x2="${x(at)}" y1="${y(y0)}" y2="${y(y1)}"/>`);
    parts.push(text(x(at), HEIGHT - MARGIN.bottom + 20, label(at)));
  }
  for (let at = y0; at <= y1 * 1.001; at *= 10) {
    parts.push(`<line class="grid" x1="${x(x0)}" x2="${x(x1)}" y1="${y(at)}" y2="${y(at)}"/>`);
    parts.push(text(MARGIN.left - 8, y(at) + 4, label(at), "end"));
  }
  const ridge = Math.min(x1, fmaGflopPerS / copyGbPerS);
  const roof = [[x0, x0 * copyGbPerS], [ridge, ridge * copyGbPerS], [x1, Math.min(fmaGflopPerS, x1 * copyGbPerS)]];
  parts.push(`<polyline class="roof" points="${roof.map(([a, b]) => `${x(a!)},${y(b!)}`).join(" ")}"/>`);
  for (const { family, name, intensity, gflopPerS } of points) {
    const place = `cx="${x(intensity).toFixed(1)}" cy="${y(gflopPerS).toFixed(1)}"`;
    parts.push(`<circle class="f${family}" ${place} r="4.5"><title>${escape(name)}</title></circle>`);
  }
  FAMILIES.forEach((name, i) => {
    const left = MARGIN.left + 8 + i * 168;
    parts.push(`<circle class="f${i}" cx="${left}" cy="32" r="4.5"/>${text(left + 10, 36, name, "start")}`);
  });
  parts.push(text(MARGIN.left, 16, device, "start", 'font-weight="600"'));
  const roofs = `copy ${copyGbPerS.toFixed(0)} GB/s, multiply-add ${fmaGflopPerS.toFixed(0)} GFLOP/s`;
  parts.push(text(WIDTH - MARGIN.right, 16, roofs, "end"));
  parts.push(text((x(x0) + x(x1)) / 2, HEIGHT - 16, "operations per byte"));
  const middle = (y(y0) + y(y1)) / 2;
  parts.push(text(20, middle, "10⁹ operations per second", "middle", `transform="rotate(-90 20 ${middle})"`));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Roofline of ${
      escape(device)
    }">`,
    `<style>${STYLE}</style><rect class="back" width="${WIDTH}" height="${HEIGHT}"/>`,
    ...parts,
    "</svg>\n",
  ].join("\n");
}

function decades(values: readonly number[]): [number, number] {
  return [10 ** Math.floor(Math.log10(Math.min(...values))), 10 ** Math.ceil(Math.log10(Math.max(...values)))];
}

function label(value: number): string {
  return value >= 1 ? String(Math.round(value)) : value.toPrecision(1);
}

function escape(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
