/**
 * The table of machine-code figures, and what in it is not as it should be.
 *
 * @module
 */
import type { ShaderFigures } from "./radv.ts";

/** One kernel of a model. */
export interface KernelFigures extends ShaderFigures {
  /** Model, kernel and formats. */
  readonly name: string;
}

/** Kernels that wait for memory, and so need many waves to hide it. */
const MEMORY_BOUND = /matvec|attention_decode/;

/** Waves that hide the latency of memory on RDNA2, which has room for 16. */
const FEWEST_WAVES = 8;

/** What breaks the project's own limits. */
export function problems(rows: readonly KernelFigures[]): string[] {
  return rows.flatMap(({ name, spills, scratch, waves }) => [
    ...(spills > 0 || scratch > 0 ? [`${name} spills ${spills} registers, ${scratch} bytes of scratch`] : []),
    ...(MEMORY_BOUND.test(name) && waves < FEWEST_WAVES
      ? [`${name} runs ${waves} waves, fewer than ${FEWEST_WAVES}`]
      : []),
  ]);
}

/** The table as it is committed. */
export function formatTable(family: string, rows: readonly KernelFigures[]): string {
  const percent = (share: number) => `${Math.round(100 * share)}%`;
  const columns: [string, (row: KernelFigures) => string | number][] = [
    ["VGPRs", ({ vgprs }) => vgprs],
    ["spills", ({ spills }) => spills],
    ["scratch", ({ scratch }) => scratch],
    ["LDS", ({ lds }) => lds],
    ["waves", ({ waves }) => waves],
    ["instrs", ({ instructions }) => instructions],
    ["latency", ({ latency }) => latency],
    ["inv.thr", ({ inverseThroughput }) => inverseThroughput],
    ["loop", ({ loopInstructions }) => loopInstructions],
    ["arith", ({ arithmeticShare }) => percent(arithmeticShare)],
    ["fma", ({ multiplyAddShare }) => percent(multiplyAddShare)],
    ["dot4", ({ dot4 }) => dot4],
  ];
  const wide = 2 + Math.max(...rows.map(({ name }) => name.length));
  const lines = [
    `${family}: registers, memory, and the largest innermost loop: its instructions, the share that computes, that multiplies and adds`,
    "".padEnd(wide) + columns.map(([title]) => title.padStart(9)).join(""),
    ...rows.map((row) => row.name.padEnd(wide) + columns.map(([, of]) => String(of(row)).padStart(9)).join("")),
  ];
  return lines.join("\n") + "\n";
}
