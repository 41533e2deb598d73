/**
 * Stands in for `@std/cli` (the same name and signature, only what the command line uses) over `node:util`, because
 * JSR is out of reach where the tests must run. `deno.jsr.json` maps the name to the real package.
 *
 * @module
 */
import { parseArgs as nodeParseArgs } from "node:util";

/** Options of `parseArgs`. */
export interface ParseOptions {
  /** Names of options that take a value, and "_" where positionals stay strings. */
  readonly string?: readonly string[];
  /** Names of options that take none. */
  readonly boolean?: readonly string[];
  /** Names of options that may stand several times. */
  readonly collect?: readonly string[];
  /** Called with each argument that is no known option; returns false to leave it out. */
  readonly unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

/** What was parsed: positionals in `_`, options by name. */
export interface Args {
  /** Positionals in order. */
  readonly _: (string | number)[];
  /** Values of the options that stood there; false for a boolean that did not. */
  readonly [name: string]: unknown;
}

/**
 * Parses `--name=value`, `--name value` and `--flag`.
 *
 * @param args Arguments as the shell gave them.
 * @param options Which names there are.
 * @returns Positionals and options.
 */
export function parseArgs(args: string[], options: ParseOptions = {}): Args {
  const strings = (options.string ?? []).filter((name) => name !== "_");
  const collected = new Set(options.collect);
  const declared = Object.fromEntries([
    ...strings.map((name) => [name, { type: "string" as const }]),
    ...(options.boolean ?? []).map((name) => [name, { type: "boolean" as const }]),
  ]);
  const { tokens } = nodeParseArgs({ args, options: declared, strict: false, allowPositionals: true, tokens: true });
  const positionals: string[] = [];
  const values: Record<string, unknown> = Object.fromEntries((options.boolean ?? []).map((name) => [name, false]));
  for (const name of collected) values[name] = [];
  const unknown = options.unknown ?? (() => true);
  for (const token of tokens) {
    if (token.kind === "positional") {
      if (unknown(token.value) !== false) positionals.push(token.value);
    } else if (token.kind === "option") {
      const { name, rawName, value } = token;
      if (!Object.hasOwn(declared, name)) {
        if (unknown(value === undefined ? rawName : `${rawName}=${value}`, name, value ?? true) === false) continue;
      }
      const found = value ?? (strings.includes(name) ? "" : true);
      if (collected.has(name)) (values[name] as unknown[]).push(found);
      else values[name] = found;
    }
  }
  return { ...values, _: positionals };
}
