import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { lastLine, PG_NANO, skein } from "./skein_process.ts";

const TEXT = "The sun went down behind the hills.";

Deno.test("score gives one log-probability for each token but the first", async () => {
  const { code, stdout } = await skein(["score", PG_NANO, "--text", TEXT, "--json"]);
  assertEquals(code, 0);
  const { tokens, logprobs, perplexity } = JSON.parse(stdout);
  assertEquals(logprobs.length, tokens.length - 1);
  assert(logprobs.every((value: number) => value < 0));
  const mean = logprobs.reduce((sum: number, value: number) => sum + value, 0) / logprobs.length;
  assert(Math.abs(perplexity - Math.exp(-mean)) < 1e-3 * perplexity);
});

Deno.test("score takes the same text from a file, and the same ids from a JSON array", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/text.txt`, TEXT);
    const inline = await skein(["score", PG_NANO, "--text", TEXT, "--json"]);
    const fromFile = await skein(["score", PG_NANO, "--file", `${folder}/text.txt`, "--json"]);
    await Deno.writeTextFile(`${folder}/ids.json`, JSON.stringify(JSON.parse(inline.stdout).tokens));
    const fromIds = await skein(["score", PG_NANO, "--tokens", `${folder}/ids.json`, "--json"]);
    assertEquals([fromFile.stdout, fromIds.stdout], [inline.stdout, inline.stdout]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

const REFUSED: readonly (readonly [string, string | undefined, string])[] = [
  ["broken JSON", "[1, 2", "Cannot read --tokens"],
  ["an object", "{}", "expected a JSON array of token ids"],
  ["a fraction", "[1, 2.5]", "element 1 is 2.5, expected a token id"],
  ["a negative id", "[1, -1]", "element 1 is -1, expected a token id"],
  ["an id over the vocabulary", "[1, 4096]", "4096"],
  ["too few ids", "[1]", "at least 2"],
  ["a file that is not there", undefined, "no such file"],
];
for (const [what, content, message] of REFUSED) {
  Deno.test(`score --tokens refuses ${what}`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      if (content !== undefined) await Deno.writeTextFile(`${folder}/ids.json`, content);
      const finished = await skein(["score", PG_NANO, "--tokens", `${folder}/ids.json`, "--json"]);
      assertEquals([finished.code, finished.stdout], [1, ""]);
      assertStringIncludes(lastLine(finished), message);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

Deno.test("score wants exactly one input", async () => {
  assertStringIncludes(
    lastLine(await skein(["score", PG_NANO])),
    "Expected one of --text TEXT, --file FILE and --tokens",
  );
  assertStringIncludes(
    lastLine(await skein(["score", PG_NANO, "--text", "a", "--file", "b"])),
    "Expected one of --text",
  );
});
