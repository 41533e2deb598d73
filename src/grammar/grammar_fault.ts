/**
 * What is wrong with a grammar, in its caller's words: llguidance speaks of its own notation, into which it translates.
 *
 * @module
 */
import type { GrammarSource } from "./grammar.ts";

/** What a grammar is called, by its notation. */
const NAMES: Readonly<Record<GrammarSource["kind"], string>> = {
  jsonSchema: "the JSON Schema",
  regex: "the regular expression",
  lark: "the grammar",
};

/** Messages of llguidance 1.9.1, and what they say to somebody who does not know it. */
const SAYINGS: readonly (readonly [said: RegExp, meant: string])[] = [
  // Of schemas.
  [/^Invalid type: (.*)$/, 'type "$1" is not one of string, number, integer, boolean, null, array and object'],
  [/^Unimplemented keys: \[(.*)\]$/, "it cannot be held to $1; leave that out"],
  [/^Unknown format: (.*)$/, 'it cannot be held to format "$1"; leave that out, or give a pattern'],
  [/^oneOf constraints are not supported\..*$/, "the cases of oneOf do not exclude one another; use anyOf"],
  [/^Only absolute \$ref's .*; ref '(.*)'$/, '$ref "$1" leads out of the schema; give one that begins with #/'],
  [/^Reference segment '.*' not found in '(.*)'\.$/, '$ref "$1" leads to nothing'],
  [/^schema must be an object or boolean$/, "expected an object or a boolean, which a schema is"],
  [/^Unsatisfiable schema: (.*)$/, "nothing is valid under it: $1"],
  [/^Expected f64 for '(.*)', got (.*)$/s, "expected a number for $1, got $2"],
  [/^Expected (\w+(?: integer)?) for '(.*)', got (.*)$/s, "expected a value of type $1 for $2, got $3"],
  // Of rules.
  [/^no start rule found$/, "it has no rule named start, which the text would be"],
  [/^lexer error$/, "this cannot be read; is a text or an expression left open?"],
  [/^expecting (.*?) \(at "?(.*?)"? \(.*\)\)$/, 'expected $1, got "$2"'],
  [/^Expected token (.*), found (.*?) \(at .*\)$/, "expected $1, got $2"],
  [/^(unknown special token: .*); following special tokens are available: .*$/, "$1"],
  // Of expressions.
  [/^lookarounds not supported yet; .*$/, "\\b, ^ and $ in its middle, and other look-arounds, cannot be held to"],
];

/** What is wrong with a grammar. */
export interface GrammarFault {
  /** What llguidance says, with lines of the grammar in between; of any length. */
  readonly told: string;
  /** Where in a JSON Schema it says it of, as a JSON pointer behind `#`. */
  readonly place?: string;
}

/** A sentence about a grammar that cannot be used. */
export function refusal(kind: GrammarSource["kind"], { told, place }: GrammarFault): string {
  const [, where, said = told] = /^(?:at )?((?:\d+\(\d+\)|EOF)): (.*)$/s.exec(told) ?? [];
  const reason = reasonOf(said);
  const places = [
    ...kind === "lark" && where !== undefined
      ? [where.replace("EOF", "its end").replace(/^(\d+)\((\d+)\)$/, "line $1, column $2")]
      : [],
    ...place === undefined || place === "#" ? [] : [`at ${place}`],
  ];
  return `Cannot use ${NAMES[kind]}: ${[...places, reason].join(": ")}`;
}

/** What llguidance says after the place, in other words. */
function reasonOf(said: string): string {
  const inner = said.replace(/^failed to compile JSON schema: /, "");
  const expression = /^(?:invalid regex .*? \(in .*?\): )?regex parse error:\n {4}(.*)\n {4}( *)\^+\nerror: (.*)/.exec(
    inner,
  );
  if (expression !== null) {
    const [, shown, before, what] = expression;
    return `${what} at "${shown!.slice(before!.length, before!.length + 40).replaceAll("\\/", "/")}"`;
  }
  const line = shortened(inner.replace(/^invalid regex .*? \(in .*?\): /s, ""));
  for (const [pattern, meant] of SAYINGS) if (pattern.test(line)) return line.replace(pattern, meant);
  return line;
}

/** A reason on one line, without the lines of the grammar that it shows. */
export function shortened(reason: string): string {
  const lines = reason.split("\n").map((line) => line.trim()).filter((line) => !/^(\d+ \|.*|\^+)?$/.test(line));
  const text = lines.join(" ");
  return text.length > 500 ? `${text.slice(0, 500)}...` : text;
}
