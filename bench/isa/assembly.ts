/**
 * What stands in AMD machine code: how much of the innermost loop computes.
 *
 * @module
 */

/** Instructions that compute with numbers; moves, selects, bit shuffling and lane traffic are not among them. */
const ARITHMETIC =
  /^v_(fma|fmac|mul|mac|mad|add|sub|subrev|dot|dot2|dot2c|dot4|pk|exp|log|rcp|rsq|sqrt|max|max3|min|cvt|lshl_add|add3)/;

/** Multiply-adds, packed ones and dot products included. */
const MULTIPLY_ADD = /^v_(fma|fmac|mac|mad|dot|pk_fma)/;

/** Dot products of four bytes. */
const DOT4 = /^v_dot4/;

/** Figures of one kernel's machine code. */
export interface LoopFigures {
  /** Instructions of the largest innermost loop; 0 where there is none. */
  readonly loopInstructions: number;
  /** Share of them that computes, 0 to 1. */
  readonly arithmeticShare: number;
  /** Share of them that multiplies and adds, 0 to 1. */
  readonly multiplyAddShare: number;
  /** Dot products of four bytes in the whole kernel. */
  readonly dot4: number;
}

/** Reads a disassembly as RADV prints it: a line "BB3:" opens a block, the others are instructions. */
export function readAssembly(text: string): LoopFigures {
  const instructions: string[] = [];
  const blocks = new Map<string, number>();
  const loops: [begin: number, end: number][] = [];
  for (const line of text.split("\n").map((each) => each.trim())) {
    const block = /^(BB\d+):/.exec(line);
    if (block !== null) {
      blocks.set(block[1]!, instructions.length);
      continue;
    }
    const mnemonic = /^(?:[sv]|ds|buffer|global|flat|scratch|tbuffer)_\w+/.exec(line);
    if (mnemonic === null) continue;
    instructions.push(mnemonic[0]);
    const target = /^s_c?branch\w*\s+(BB\d+)/.exec(line);
    const begin = target === null ? undefined : blocks.get(target[1]!);
    if (begin !== undefined) loops.push([begin, instructions.length]);
  }
  const innermost = loops.filter(([begin, end]) =>
    !loops.some(([b, e]) => (b !== begin || e !== end) && b >= begin && e <= end)
  );
  const [begin, end] = innermost.sort(([a, b], [c, d]) => (d - c) - (b - a))[0] ?? [0, 0];
  const body = instructions.slice(begin, end);
  const share = (pattern: RegExp) =>
    body.length === 0 ? 0 : body.filter((each) => pattern.test(each)).length / body.length;
  return {
    loopInstructions: body.length,
    arithmeticShare: share(ARITHMETIC),
    multiplyAddShare: share(MULTIPLY_ADD),
    dot4: instructions.filter((each) => DOT4.test(each)).length,
  };
}
