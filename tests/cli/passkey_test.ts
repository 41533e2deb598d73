import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { lastLine, PG_NANO, skein } from "./skein_process.ts";

/** Trials of the reference run, which transformers found with this model. */
const TRIALS = [
  { length: 256, key: "67767", depth: 0, filler_characters: 607 },
  { length: 256, key: "25315", depth: 0.05263157894736842, filler_characters: 612 },
];

Deno.test("passkey replays a list of trials and finds their keys", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/trials.json`, JSON.stringify(TRIALS));
    const { code, stdout, stderr } = await skein([
      "passkey",
      PG_NANO,
      "--trials",
      `${folder}/trials.json`,
      "--json",
      "--csv",
      `${folder}/a.csv`,
    ]);
    assertEquals([code, stderr], [0, ""]);
    const { results, accuracy, accuracy_by_length } = JSON.parse(stdout);
    for (const [i, { context_length, depth, key, answer, found }] of results.entries()) {
      assertEquals([context_length, depth, key, found], [256, TRIALS[i]!.depth, TRIALS[i]!.key, true]);
      assertStringIncludes(answer, key);
    }
    assertEquals([results.length, accuracy], [2, 1]);
    const [header, first] = (await Deno.readTextFile(`${folder}/a.csv`)).split("\n");
    assertEquals(header, "context_length,depth,key,answer,found");
    assertEquals(first!.split(",").slice(0, 3), ["256", "0", TRIALS[0]!.key]);
    assertEquals(accuracy_by_length, [{ context_length: 256, accuracy: 1, trials: 2 }]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("passkey makes its own trials from a seed, at the depths that are asked for", async () => {
  const args = ["passkey", PG_NANO, "--depths", "2", "--seed", "5"];
  const { code, stdout } = await skein([...args, "--lengths", "200..400", "--json"]);
  assertEquals(code, 0);
  const { results, accuracy, method } = JSON.parse(stdout);
  assertEquals(
    results.map((row: { context_length: number; depth: number }) => [row.context_length, row.depth]),
    [[200, 0], [200, 1], [400, 0], [400, 1]],
  );
  const found = results.filter((row: { found: boolean }) => row.found).length;
  assertEquals([accuracy, method.seed, method.depths], [found / 4, 5, 2]);
  assert(found >= 2, stdout);
  const table = await skein([...args, "--lengths", "200"]);
  assertStringIncludes(table.stdout, "length  found  trials  accuracy\n");
});

const REFUSED: readonly (readonly [string, string])[] = [
  ["[]", "it is empty"],
  ["{}", "expected a JSON array"],
  ['[{"length": 256, "key": "x", "depth": 0, "filler_characters": 1}]', "element 0 is"],
  ['[{"length": 256, "key": "1", "depth": 2, "filler_characters": 1}]', "element 0 is"],
  ["[null]", "element 0 is null"],
];
for (const [content, message] of REFUSED) {
  Deno.test(`passkey --trials refuses ${content}`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      await Deno.writeTextFile(`${folder}/trials.json`, content);
      const finished = await skein([
        "passkey",
        "nowhere",
        "--trials",
        `${folder}/trials.json`,
        "--json",
        "--csv",
        `${folder}/a.csv`,
      ]);
      assertEquals([finished.code, finished.stdout], [1, ""]);
      assertStringIncludes(lastLine(finished), message);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

Deno.test("passkey refuses a length that has no room for the prompt", async () => {
  assertStringIncludes(
    lastLine(await skein(["passkey", PG_NANO, "--lengths", "64"])),
    "Cannot hide a key in 64 tokens",
  );
});
