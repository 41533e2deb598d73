/**
 * Turns a kernel's WGSL files and a set of constants into the text that is compiled: a prelude of `const` and
 * `alias` lines, then the files, with marked loops unrolled. The files themselves stay plain WGSL.
 *
 * Loops are unrolled here because naga adds a 64-bit counter to every loop that it sees, and clamps every index
 * that it cannot evaluate; after unrolling, an index is a literal and costs nothing.
 *
 * @module
 */
import type { Constants } from "./kernel.ts";

const LOOP = /for \(var (\w+) = (\w+); \1 < (\w+); \1(?:\+\+|\s*\+=\s*(\w+))\) \{ \/\/ @unroll/;

/**
 * The text to compile for one specialisation.
 *
 * @param sources WGSL texts, in order.
 * @param constants Prelude values.
 * @returns One WGSL module.
 * @throws {Error} If a marked loop is not of the form `for (var i = A; i < B; i++) { // @unroll`, with A and B
 * literals or prelude numbers.
 */
export function specialize(sources: readonly string[], constants: Constants): string {
  const prelude = Object.entries(constants).map(([name, value]) =>
    typeof value === "string"
      ? `alias ${name} = ${value};`
      : `const ${name} = ${typeof value === "number" ? `${value}u` : value};`
  );
  return unroll([...prelude, ...sources].join("\n"), constants);
}

/** Expands every loop marked `// @unroll`, outermost first; the loop variable becomes a literal. */
export function unroll(text: string, constants: Constants): string {
  let rest = text;
  let done = "";
  while (true) {
    const mark = rest.indexOf("// @unroll");
    if (mark < 0) return done + rest;
    const lineStart = rest.lastIndexOf("\n", mark) + 1;
    const match = LOOP.exec(rest.slice(lineStart, mark + "// @unroll".length));
    if (match === null) throw new Error(`Cannot unroll the loop in this line: ${rest.slice(lineStart, mark).trim()}`);
    const [, variable, first, limit, stride] = match as unknown as [string, string, string, string, string?];
    const bodyStart = mark + "// @unroll".length;
    const bodyEnd = matchingBrace(rest, bodyStart);
    const body = rest.slice(bodyStart, bodyEnd);
    const end = numberOf(limit, constants);
    const step = stride === undefined ? 1 : numberOf(stride, constants);
    const name = new RegExp(`\\b${variable}\\b`, "g");
    let copies = "";
    for (let i = numberOf(first, constants); i < end; i += step) copies += `{${body.replace(name, `${i}u`)}}\n`;
    done += rest.slice(0, lineStart);
    rest = copies + rest.slice(bodyEnd + 1);
  }
}

function numberOf(word: string, constants: Constants): number {
  const literal = /^(\d+)u?$/.exec(word);
  if (literal !== null) return Number(literal[1]);
  const value = constants[word];
  if (typeof value !== "number") throw new Error(`Cannot unroll a loop bounded by ${word}: it is no prelude number`);
  return value;
}

function matchingBrace(text: string, from: number): number {
  let depth = 1;
  for (let i = from; i < text.length; i++) {
    if (text[i] === "{") depth++;
    else if (text[i] === "}" && --depth === 0) return i;
  }
  throw new Error("Cannot unroll a loop whose closing brace is missing");
}
