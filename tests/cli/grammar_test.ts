import { assert, assertEquals, assertRejects } from "@std/assert";
import { grammarOf, grammarOptions } from "../../src/cli/grammar.ts";
import { readOptions, UsageError } from "../../src/cli/options.ts";
import { lastLine, PG_NANO, skein } from "./skein_process.ts";

const read = (...args: string[]) => grammarOf(readOptions(args, grammarOptions).values);

Deno.test("a grammar comes from an option's value or from a file that it names", async () => {
  assertEquals(await read(), undefined);
  assertEquals(await read("--regex", "a+"), { regex: "a+" });
  assertEquals(await read("--json-schema", '{"type": "null"}'), { jsonSchema: { type: "null" } });
  assertEquals(await read("--json-schema", "true"), { jsonSchema: true });
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/schema.json`, '{"enum": [1]}');
    await Deno.writeTextFile(`${folder}/list.lark`, 'start: "a"');
    assertEquals(await read("--json-schema", `${folder}/schema.json`), { jsonSchema: { enum: [1] } });
    assertEquals(await read("--grammar", `${folder}/list.lark`), { lark: 'start: "a"' });
    await assertRejects(() => read("--grammar", `${folder}/none`), UsageError, "no such file");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a grammar that is none is refused before a model is loaded", async () => {
  await assertRejects(() => read("--json-schema", "{"), UsageError, "Cannot use --json-schema: ");
  await assertRejects(() => read("--json-schema", "[1]"), UsageError, "expected an object");
  await assertRejects(() => read("--regex", "a", "--json-schema", "{}"), UsageError, "--json-schema and --regex");
});

Deno.test("generate and chat hold what they print to a grammar", async () => {
  const prompt = ["--prompt", "The wind was in the", "--temperature", "1", "--seed", "2"];
  const found = await skein(["generate", PG_NANO, ...prompt, "--regex", "(north|south)-(east|west)"]);
  assert(found.code === 0 && /^(north|south)-(east|west)\n$/.test(found.stdout), found.stdout + found.stderr);
  assertEquals(found.stderr, "");
  const cut = await skein([
    "generate",
    PG_NANO,
    ...prompt,
    "--regex",
    "(north|south)-(east|west)",
    "--max-tokens",
    "1",
  ]);
  assert(cut.code === 0 && /^skein: note: the text ended at a limit of tokens/.test(cut.stderr), cut.stderr);
  const failed = await skein(["generate", PG_NANO, ...prompt, "--json-schema", '{"type": "strin"}']);
  assertEquals([failed.code, failed.stdout], [1, ""]);
  assertEquals(
    lastLine(failed),
    'skein: Cannot use --json-schema: type "strin" is not one of string, number, integer, boolean, null, array and object',
  );
  const said = await skein(["chat", PG_NANO, "--json-schema", '{"enum": ["yes", "no"]}'], { stdin: "Is it?\n" });
  assert(said.code === 0 && /"(yes|no)"/.test(said.stdout), said.stdout + said.stderr);
});
