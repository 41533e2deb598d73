/**
 * Options of a command: declared as data, parsed strictly, explained by `--help`.
 *
 * @module
 */
import { parseArgs } from "@std/cli";

/** Thrown for a wrong command line; the message says what to do. */
export class UsageError extends Error {
  /** The class name, for code that cannot use `instanceof`. */
  override readonly name: string = "UsageError";
}

/** One option: how its values read, and what `--help` says. */
export interface Option<T> {
  /** What stands for the value in `--help`; undefined for a flag. */
  readonly placeholder?: string;
  /** One line for `--help`. */
  readonly help: string;
  /** True where the option may stand several times. */
  readonly repeats?: boolean;
  /** Turns the values that stood there, none to many, into the option's value. */
  read(flag: string, values: readonly string[]): T;
}

/** Options by their name without dashes. */
export type Options = Readonly<Record<string, Option<unknown>>>;

/** Values by the options' names. */
export type Values<O extends Options> = { readonly [K in keyof O]: O[K] extends Option<infer T> ? T : never };

/** A switch: false unless it stands there. */
export function flag(help: string): Option<boolean> {
  return { help, read: (_flag, values) => values.length > 0 };
}

/** Any text, or undefined. */
export function text(placeholder: string, help: string): Option<string | undefined> {
  return { placeholder, help, read: (_flag, values) => values[0] };
}

/** Texts, each given by an option of its own. */
export function texts(placeholder: string, help: string): Option<readonly string[]> {
  return {
    placeholder,
    help,
    repeats: true,
    read: (flag, values) => {
      if (values.includes("")) throw new UsageError(`Cannot use ${flag} "": expected a text of at least one character`);
      return values;
    },
  };
}

/** One of a few words, or undefined. */
export function choice<const T extends string>(words: readonly T[], help: string): Option<T | undefined> {
  return {
    placeholder: words.join("|"),
    help,
    read: (flag, [value]) => {
      const found = words.find((word) => word === value);
      if (value !== undefined && found === undefined) {
        throw new UsageError(`Cannot use ${flag} ${JSON.stringify(value)}: expected one of ${words.join(", ")}`);
      }
      return found;
    },
  };
}

/** Bounds of a number. */
export interface Bounds {
  /** Smallest value. */
  readonly min: number;
  /** True where `min` itself is out of bounds. */
  readonly above?: boolean;
  /** Largest value. */
  readonly max: number;
}

/** A finite number within bounds, or undefined. */
export function number(help: string, bounds: Bounds): Option<number | undefined> {
  const { min, max, above = false } = bounds;
  const expected = max === Number.MAX_VALUE
    ? `a finite number ${above ? "above" : "of at least"} ${min}`
    : `a number ${above ? `above ${min}, at most` : `from ${min} to`} ${max}`;
  return {
    placeholder: "F",
    help,
    read: (flag, [value]) =>
      readNumber(flag, value, /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i, expected, {
        min,
        max,
        above,
      }),
  };
}

/** A whole number within bounds, or undefined. */
export function integer(help: string, { min, max }: Bounds): Option<number | undefined> {
  const expected = max === Number.MAX_SAFE_INTEGER
    ? `a whole number of at least ${min}`
    : `a whole number from ${min} to ${max}`;
  return {
    placeholder: "N",
    help,
    read: (flag, [value]) => readNumber(flag, value, /^[+-]?\d+$/, expected, { min, max }),
  };
}

/** A number of bytes, with an optional unit: 8589934592, 8GiB, 500MB. Undefined where it is not given. */
export function bytes(help: string): Option<number | undefined> {
  const units: Record<string, number> = { "": 1, K: 1e3, M: 1e6, G: 1e9, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30 };
  return {
    placeholder: "BYTES",
    help: `${help} (as 8589934592, 500MB or 8GiB)`,
    read: (flag, [value]) => {
      if (value === undefined) return undefined;
      const match = /^(\d+(?:\.\d+)?)\s*([KMG]i?|)B?$/i.exec(value);
      const unit = match === null
        ? undefined
        : Object.keys(units).find((name) => name.toLowerCase() === match[2]!.toLowerCase());
      const count = unit === undefined ? NaN : Math.floor(Number(match![1]) * units[unit]!);
      if (!(count >= 1) || !Number.isSafeInteger(count)) {
        throw new UsageError(
          `Cannot use ${flag} ${JSON.stringify(value)}: expected a number of bytes such as 8589934592, 500MB or 8GiB`,
        );
      }
      return count;
    },
  };
}

function readNumber(
  flag: string,
  value: string | undefined,
  form: RegExp,
  expected: string,
  { min, max, above = false }: Bounds,
): number | undefined {
  if (value === undefined) return undefined;
  const result = form.test(value) ? Number(value) : NaN;
  if (!(above ? result > min : result >= min) || !(result <= max)) {
    throw new UsageError(`Cannot use ${flag} ${JSON.stringify(value)}: expected ${expected}`);
  }
  return result;
}

/**
 * Parses a command's arguments.
 *
 * @param args What stands after the command's name.
 * @param options The command's options.
 * @returns Positionals, and a value for every option.
 * @throws {UsageError} For an unknown option, a missing value, or one that does not read.
 */
export function readOptions<O extends Options>(
  args: readonly string[],
  options: O,
): { positionals: string[]; values: Values<O> } {
  const withValue = (name: string) => options[name]?.placeholder !== undefined;
  // std's parser refuses values that are empty or start with a dash, so they wait here and it sees their numbers.
  const kept: string[] = [];
  const keep = (name: string, value: string) => `--${name}=${kept.push(value) - 1}`;
  const safe: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === "--") {
      safe.push(...args.slice(i));
      break;
    }
    const [, name, inline] = /^--([^=]+)(?:=(.*))?$/s.exec(arg) ?? [];
    if (name !== undefined && inline !== undefined && Object.hasOwn(options, name) && !withValue(name)) {
      throw new UsageError(`Cannot use --${name} with a value: it takes none`);
    }
    if (name === undefined || !withValue(name)) safe.push(arg);
    else if (inline !== undefined) safe.push(keep(name, inline));
    else if (i + 1 < args.length) safe.push(keep(name, args[++i]!));
    else throw new UsageError(`Expected a value after --${name}`);
  }
  const names = Object.keys(options);
  const parsed = parseArgs(safe, {
    string: [...names.filter(withValue), "_"],
    boolean: names.filter((name) => !withValue(name)),
    collect: names.filter(withValue),
    unknown: (arg, key) => {
      if (key === undefined) return true;
      const name = arg.replace(/^-+/, "").replace(/=.*$/s, "");
      const nearest = nearestOf(name, names);
      throw new UsageError(
        `Unknown option ${arg.replace(/=.*$/s, "")}${nearest === undefined ? "" : `: did you mean --${nearest}`}`,
      );
    },
  });
  const values: Record<string, unknown> = {};
  for (const [name, option] of Object.entries(options)) {
    const found = parsed[name];
    const given = Array.isArray(found) ? found.map((index) => kept[Number(index)]!) : found === true ? ["true"] : [];
    if (given.length > 1 && option.repeats !== true) {
      throw new UsageError(`Cannot use --${name} ${given.length} times: it takes one value`);
    }
    values[name] = option.read(`--${name}`, given);
  }
  return { positionals: parsed._.map(String), values: values as Values<O> };
}

/** The known word nearest to a mistyped one, if any is near. */
export function nearestOf(word: string, known: readonly string[]): string | undefined {
  const distances = known.map((candidate) => ({ candidate, distance: editDistance(word, candidate) }));
  const best = distances.sort((a, b) => a.distance - b.distance)[0];
  return best !== undefined && best.distance <= Math.max(2, word.length / 3) ? best.candidate : undefined;
}

/** Levenshtein distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}

/** The lines of `--help` for options. */
export function describeOptions(options: Options): string {
  const rows = Object.entries(options).map(([name, { placeholder, help, repeats }]) => [
    `  --${name}${placeholder === undefined ? "" : ` ${placeholder}`}`,
    repeats ? `${help} (may stand several times)` : help,
  ]);
  const width = Math.min(34, Math.max(...rows.map(([left]) => left!.length)) + 2);
  return rows.map(([left, help]) =>
    left!.length + 2 > width ? `${left}\n${" ".repeat(width)}${help}` : left!.padEnd(width) + help
  ).join("\n");
}
