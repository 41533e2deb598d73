import { assertEquals, assertStringIncludes } from "@std/assert";
import { lastLine, PG_NANO, skein } from "./skein_process.ts";

Deno.test("tokenize and detokenize are each other's inverse", async () => {
  const text = "Grüße, 世界! 🧶\n\tdigits 12345  spaces";
  const { stdout } = await skein(["tokenize", PG_NANO, text, "--no-special-tokens", "--json"]);
  const { tokens, pieces } = JSON.parse(stdout);
  assertEquals(pieces.length, tokens.length);
  const [first, second, ...rest] = tokens;
  for (const ids of [[tokens.join(",")], [`${first} ${second},${rest}`], [first, `${second} ${rest.join(", ")}`]]) {
    const { stdout: decoded } = await skein(["detokenize", PG_NANO, ...ids.map(String), "--json"]);
    assertEquals(JSON.parse(decoded), { text });
  }
});

Deno.test("tokenize adds the special tokens of the tokenizer's config, and detokenize keeps them", async () => {
  const { tokens, pieces } = JSON.parse((await skein(["tokenize", PG_NANO, "Hello", "--json"])).stdout);
  assertEquals([tokens[0], pieces[0]], [1, "<s>"]);
  assertEquals((await skein(["detokenize", PG_NANO, JSON.stringify(tokens)])).stdout, "<s>Hello\n");
});

Deno.test("tokenize takes a text that reads like an option after --", async () => {
  const { code, stdout } = await skein(["tokenize", PG_NANO, "--json", "--no-special-tokens", "--", "--json"]);
  assertEquals(code, 0);
  assertEquals((await skein(["detokenize", PG_NANO, JSON.parse(stdout).tokens.join(",")])).stdout, "--json\n");
});

Deno.test("tokenize --texts gives an array, --file one result", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/texts.json`, JSON.stringify(["a b", "", "c\u0000d"]));
    await Deno.writeTextFile(`${folder}/text.txt`, "a b");
    const all = JSON.parse((await skein(["tokenize", PG_NANO, "--texts", `${folder}/texts.json`, "--json"])).stdout);
    const one = JSON.parse((await skein(["tokenize", PG_NANO, "--file", `${folder}/text.txt`, "--json"])).stdout);
    assertEquals(all.length, 3);
    assertEquals(all[0], one);
    await Deno.writeTextFile(`${folder}/texts.json`, "[1]");
    const refused = await skein(["tokenize", PG_NANO, "--texts", `${folder}/texts.json`]);
    assertStringIncludes(lastLine(refused), "expected a JSON array of strings");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

for (
  const [ids, message] of [["1,x", "expected a JSON array"], ["[1,", "expected a JSON array"], ["-1", "element 0"], [
    "4096",
    "element 0 is 4096, the vocabulary has 4096 tokens",
  ], ["1.5", "element 0 is 1.5"]] as const
) {
  Deno.test(`detokenize refuses ${JSON.stringify(ids)}`, async () => {
    const finished = await skein(["detokenize", PG_NANO, "--json", "--", ids]);
    assertEquals([finished.code, finished.stdout], [1, ""]);
    assertStringIncludes(lastLine(finished), message);
  });
}
