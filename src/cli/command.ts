/**
 * What every command of `skein` is made of.
 *
 * @module
 */
import type { Options, Values } from "./options.ts";
import { UsageError } from "./options.ts";
import type { Terminal } from "./terminal.ts";

/** One run of a command. */
export interface Run<O extends Options> {
  /** Arguments that are no options. */
  readonly positionals: readonly string[];
  /** A value for every option. */
  readonly values: Values<O>;
  /** Where output goes. */
  readonly terminal: Terminal;
  /** Aborts when the user interrupts. */
  readonly signal: AbortSignal;
  /** Replaces the signal, so that an interrupt ends what begins now and not the program. */
  renewSignal(): AbortSignal;
}

/** A command. */
export interface Command<O extends Options = Options> {
  /** One line for `skein --help`. */
  readonly summary: string;
  /** What stands after the command's name, for `--help`. */
  readonly usage: string;
  /** Its options. */
  readonly options: O;
  /** Does the work; an error ends the program with status 1. */
  run(run: Run<O>): Promise<void>;
}

/** Declares a command whose `run` gets its own options' types. Only `readOptions` makes values, by the same options. */
export function defineCommand<O extends Options>(command: Command<O>): Command {
  return command as unknown as Command;
}

/** The positionals by position; too few or too many are refused by name. */
export function expectPositionals(positionals: readonly string[], names: readonly string[]): string[] {
  const missing = names[positionals.length];
  if (missing !== undefined) throw new UsageError(`Expected ${missing} as argument ${positionals.length + 1}`);
  if (positionals.length > names.length) {
    throw new UsageError(
      `Cannot use argument ${JSON.stringify(positionals[names.length])}: expected ${
        names.length === 1 ? `one argument, ${names[0]}` : `${names.length} arguments`
      }`,
    );
  }
  return [...positionals];
}

/** What the library's errors call options, and what the command line does. */
const OPTION_NAMES: readonly (readonly [said: string, meant: string])[] = [
  ['contextPolicy to "stop" or to { sinks: 4 }', "--context-policy to stop or to sink:4"],
  ["lower maxTokens", "lower --max-tokens"],
  ["load with a larger contextLength", "give a larger --context-length"],
  ["the option ropeScaling", "--rope-scaling"],
  ["Cannot use the JSON Schema: ", "Cannot use --json-schema: "],
  ["Cannot use the regular expression: ", "Cannot use --regex: "],
  ["Cannot use the grammar: ", "Cannot use --grammar: "],
];

/** An error of the library in the words of the command line. */
export function inOptionNames(message: string): string {
  // "topK must be ...", which is how an option's value is refused.
  const named = message.replace(
    /^[a-z]+([A-Z][a-z]*)*(?= must be )/,
    (name) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
  );
  return OPTION_NAMES.reduce((text, [said, meant]) => text.replaceAll(said, meant), named);
}

/** A path as the user meant it: relative to where the command was called, even through `deno task`. */
export function resolvePath(path: string): string {
  const base = Deno.env.get("INIT_CWD");
  const isAbsolute = path.startsWith("/") || /^[A-Za-z]:[\\/]/.test(path) || path.startsWith("\\\\");
  return isAbsolute || !base ? path : `${base.replace(/[\\/]$/, "")}/${path}`;
}

/** A text file that an option names. */
export async function readTextFile(flag: string, path: string): Promise<string> {
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(resolvePath(path));
  } catch (cause) {
    throw new UsageError(`Cannot read ${flag} ${JSON.stringify(path)}: ${reasonOf(cause)}`, { cause });
  }
  try {
    // Replacing broken bytes would quietly change the text.
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new UsageError(`Cannot read ${flag} ${JSON.stringify(path)}: it is not valid UTF-8`, { cause });
  }
}

/** A JSON file that an option names. */
export async function readJsonFile(flag: string, path: string): Promise<unknown> {
  const text = await readTextFile(flag, path);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UsageError(`Cannot read ${flag} ${JSON.stringify(path)}: ${(cause as Error).message}`, { cause });
  }
}

/** A list of token ids, checked. */
export function tokenIds(source: string, value: unknown): number[] {
  if (!Array.isArray(value)) throw new UsageError(`Cannot use ${source}: expected a JSON array of token ids`);
  for (const [index, id] of value.entries()) {
    if (!Number.isInteger(id) || id < 0 || id > 0xffffffff) {
      throw new UsageError(`Cannot use ${source}: element ${index} is ${JSON.stringify(id)}, expected a token id`);
    }
  }
  return value;
}

/** Why the system refused, in a few words. */
export function reasonOf(cause: unknown): string {
  if (cause instanceof Deno.errors.NotFound) return "no such file";
  if (cause instanceof Deno.errors.IsADirectory) return "it is a directory";
  if (cause instanceof Deno.errors.PermissionDenied) return "the system denies access";
  return (cause as Error).message;
}
