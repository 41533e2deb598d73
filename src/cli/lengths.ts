/**
 * `--lengths`: the context lengths of an evaluation.
 *
 * @module
 */
import type { EvalDocument } from "../eval/documents.ts";
import { documentTokensOf } from "../eval/windows.ts";
import type { Model } from "../../mod.ts";
import { listed } from "./evaluation_output.ts";
import { type Option, UsageError } from "./options.ts";
import type { Terminal } from "./terminal.ts";

/** The shortest length of the doubling row that is taken where none is given. */
const SHORTEST = 256;

/** A list (256,512), a doubling row (256..4096) or steps (2048..8192+2048). Undefined where it is not given. */
export const lengthsOption: Option<readonly number[] | undefined> = {
  placeholder: "N,N|N..N|N..N+N",
  help: "Context lengths: a list (256,512), doubling (256..4096) or steps (2048..8192+2048); " +
    "doubling up to the model's own unless given",
  read: (flag, [value]) => {
    if (value === undefined) return undefined;
    const [, from, to, step] = /^(\d+)\.\.(\d+)(?:\+(\d+))?$/.exec(value) ?? [];
    const lengths = from !== undefined
      ? rowOf(Number(from), Number(to), step === undefined ? undefined : Number(step))
      : /^\d+(,\d+)*$/.test(value)
      ? value.split(",").map(Number)
      : [];
    const isGood = lengths.length > 0 && lengths.every((length) => length >= 2 && length <= 2 ** 30);
    if (!isGood || new Set(lengths).size < lengths.length) {
      throw new UsageError(
        `Cannot use ${flag} ${
          JSON.stringify(value)
        }: expected different lengths of at least 2, as 256,512 or 256..4096 or 2048..8192+2048`,
      );
    }
    return lengths;
  },
};

/** Doubling lengths up to a model's own. */
export function defaultLengths(contextLength: number): readonly number[] {
  return rowOf(Math.min(SHORTEST, contextLength), contextLength, undefined);
}

/**
 * The lengths that some document fills: a row of another would be that of a shorter context under a wrong name. Says
 * which are left out, and which documents end before the longest of the others does.
 */
export function filledLengths(
  { tokenizer, contextLength }: Model,
  documents: readonly EvalDocument[],
  wanted: readonly number[] | undefined,
  terminal: Terminal,
): readonly number[] {
  const hasBos = tokenizer.bosId !== undefined;
  const longest = Math.max(...documents.map(({ tokens }) => tokens.length)) + (hasBos ? 1 : 0);
  const lengths = wanted ?? defaultLengths(Math.min(longest, contextLength));
  const filled = lengths.filter((length) => length <= longest);
  const what = `the longest document has ${longest} tokens${hasBos ? " with BOS" : ""}`;
  if (filled.length === 0) {
    throw new UsageError(
      `Cannot measure at length ${lengths.join(" or ")}: ${what}; give a longer one, or --lengths ${longest}`,
    );
  }
  if (filled.length < lengths.length) {
    const rest = lengths.filter((length) => length > longest);
    terminal.note(`note: ${what}, so that there is no row of ${rest.join(", ")}`);
  }
  const room = documentTokensOf({ length: Math.max(...filled), hasBos });
  const short = documents.filter(({ tokens }) => tokens.length < room);
  if (short.length > 0) {
    const what = listed(short, `shorter than ${Math.max(...filled)} tokens`);
    terminal.note(`note: ${what}; --min-tokens ${room} leaves such out`);
  }
  return filled;
}

/** Lengths `from` to `to`, by a step or doubling; none for a step of 0. */
function rowOf(from: number, to: number, step: number | undefined): number[] {
  const lengths: number[] = [];
  if (from < 2 || step === 0) return lengths;
  for (
    let length = from;
    length <= to && lengths.length < 10000;
    length = step === undefined ? 2 * length : length + step
  ) {
    lengths.push(length);
  }
  return lengths;
}
