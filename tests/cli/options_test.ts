import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  bytes,
  choice,
  describeOptions,
  flag,
  integer,
  nearestOf,
  number,
  readOptions,
  text,
  texts,
  UsageError,
} from "../../src/cli/options.ts";

const options = {
  "prompt": text("TEXT", "A prompt"),
  "stop": texts("TEXT", "A stop"),
  "weights": choice(["f32", "f16"], "Storage"),
  "temperature": number("Heat", { min: 0, max: 100 }),
  "top-p": number("Mass", { min: 0, above: true, max: 1 }),
  "max-tokens": integer("Tokens", { min: 1, max: 1000 }),
  "memory-limit": bytes("Limit"),
  "no-special-tokens": flag("None added"),
  "json": flag("JSON"),
};

Deno.test("readOptions() separates positionals, values and flags in any order", () => {
  const { positionals, values } = readOptions(
    ["model", "--json", "--prompt", "Hello", "--stop=a", "--max-tokens", "7", "--stop", "b", "rest"],
    options,
  );
  assertEquals(positionals, ["model", "rest"]);
  assertEquals(values, {
    "prompt": "Hello",
    "stop": ["a", "b"],
    "weights": undefined,
    "temperature": undefined,
    "top-p": undefined,
    "max-tokens": 7,
    "memory-limit": undefined,
    "no-special-tokens": false,
    "json": true,
  });
});

Deno.test("readOptions() hands any text over unchanged as the value of an option", () => {
  fc.assert(fc.property(fc.string({ unit: "grapheme" }), fc.boolean(), (value, inline) => {
    const args = inline ? [`--prompt=${value}`] : ["--prompt", value];
    assertEquals(readOptions(["m", ...args, "--json"], options).values.prompt, value);
  }));
  for (const value of ["", "--json", "-", "--", "--prompt", "-x", "a=b\n--c", "--no-special-tokens"]) {
    assertEquals(readOptions(["--prompt", value], options).values.prompt, value);
  }
});

Deno.test("readOptions() takes everything after -- as positionals", () => {
  assertEquals(readOptions(["--json", "--", "--prompt", "x"], options).positionals, ["--prompt", "x"]);
});

Deno.test("readOptions() names an unknown option and the nearest known one", () => {
  assertThrows(
    () => readOptions(["--promt", "x"], options),
    UsageError,
    "Unknown option --promt: did you mean --prompt",
  );
  assertThrows(() => readOptions(["--max_tokens=3"], options), UsageError, "did you mean --max-tokens");
  assertThrows(() => readOptions(["-q"], options), UsageError, "Unknown option -q");
  assertThrows(() => readOptions(["--__proto__", "x"], options), UsageError, "Unknown option --__proto__");
  assertThrows(() => readOptions(["--constructor=x"], options), UsageError, "Unknown option --constructor");
});

Deno.test("readOptions() refuses missing values, values of flags, and one option twice", () => {
  assertThrows(() => readOptions(["--prompt"], options), UsageError, "Expected a value after --prompt");
  assertThrows(() => readOptions(["--json=yes"], options), UsageError, "Cannot use --json with a value");
  assertThrows(
    () => readOptions(["--prompt", "a", "--prompt", "b"], options),
    UsageError,
    "Cannot use --prompt 2 times: it takes one value",
  );
});

for (const value of ["NaN", "Infinity", "-Infinity", "1e309", "", " ", "abc", "0x10", "1,5", "--json", "-1", "101"]) {
  Deno.test(`a number refuses ${JSON.stringify(value)} and says so`, () => {
    assertThrows(
      () => readOptions(["--temperature", value], options),
      UsageError,
      `Cannot use --temperature ${JSON.stringify(value)}: expected a number from 0 to 100`,
    );
  });
}

for (const value of ["NaN", "0", "-3", "1001", "1e99", "99999999999999999999", "1.5", "", "1e2", "٣"]) {
  Deno.test(`a whole number refuses ${JSON.stringify(value)} and says so`, () => {
    assertThrows(
      () => readOptions(["--max-tokens", value], options),
      UsageError,
      `Cannot use --max-tokens ${JSON.stringify(value)}: expected a whole number from 1 to 1000`,
    );
  });
}

Deno.test("numbers read in every decimal spelling", () => {
  for (const [value, expected] of [["0", 0], ["0.7", 0.7], [".5", 0.5], ["1.", 1], ["7e-1", 0.7], ["+2", 2]] as const) {
    assertEquals(readOptions(["--temperature", value], options).values.temperature, expected);
  }
});

Deno.test("a lower bound may itself be out of bounds", () => {
  assertThrows(() => readOptions(["--top-p", "0"], options), UsageError, "expected a number above 0, at most 1");
  assertEquals(readOptions(["--top-p", "1"], options).values["top-p"], 1);
});

Deno.test("bytes read with and without a unit", () => {
  const read = (value: string) => readOptions(["--memory-limit", value], options).values["memory-limit"];
  assertEquals([read("1000"), read("2KiB"), read("1.5MB"), read("8GiB"), read("3g")], [
    1000,
    2048,
    1.5e6,
    2 ** 33,
    3e9,
  ]);
  for (const value of ["0", "-1", "NaN", "8TB", "", "9007199254740993", "1e3", "0.1"]) {
    assertThrows(() => read(value), UsageError, `Cannot use --memory-limit ${JSON.stringify(value)}`);
  }
});

Deno.test("a choice names the words that it has", () => {
  assertEquals(readOptions(["--weights", "f16"], options).values.weights, "f16");
  assertThrows(
    () => readOptions(["--weights", "f8"], options),
    UsageError,
    'Cannot use --weights "f8": expected one of f32, f16',
  );
});

Deno.test("a repeated text may not be empty", () => {
  assertThrows(() => readOptions(["--stop", ""], options), UsageError, 'Cannot use --stop ""');
});

Deno.test("nearestOf() finds near words only", () => {
  assertEquals(nearestOf("generat", ["generate", "score"]), "generate");
  assertEquals(nearestOf("xyz", ["generate", "score"]), undefined);
});

Deno.test("describeOptions() lists every option with its explanation", () => {
  const described = describeOptions(options);
  for (const [name, { help }] of Object.entries(options)) {
    assertEquals(described.includes(`--${name}`) && described.includes(help), true);
  }
});
