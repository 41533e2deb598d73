import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { lastLine, PG_NANO, skein } from "./skein_process.ts";

const BOOK = new URL("../testdata/pg19/keith_of_the_border.txt", import.meta.url).pathname;
const REHEARSAL = ["--lengths", "64,2048", "--min-tokens", "3000", "--json"];

Deno.test("reproduce sets the published figures beside those of one pass over each document", async () => {
  const file = await Deno.makeTempFile({ suffix: ".md" });
  const { code, stdout } = await skein(["reproduce", PG_NANO, "proof-pile", BOOK, ...REHEARSAL, "--markdown", file]);
  const markdown = await Deno.readTextFile(file);
  await Deno.remove(file);
  assertEquals(code, 0);
  const { results, method } = JSON.parse(stdout);
  assertEquals(
    results.map((row: Record<string, unknown>) => [row.context_length, row.tokens, row.windows, row.published]),
    [[64, 63, 1, null], [2048, 2047, 1, 4.1407]],
  );
  assert(results[1].perplexity > 10);
  const [without, beside] = markdown.split("\n").filter((line) => /^\| +\d/.test(line)).map((line) =>
    line.split(/ *\| */)
  );
  assertEquals(without!.slice(1, -1), ["64", results[0].perplexity.toFixed(4), "", "", "1"]);
  const difference = `${(100 * (results[1].perplexity / 4.1407 - 1)).toFixed(2)}%`;
  assertEquals(beside!.slice(1, -1), ["2048", results[1].perplexity.toFixed(4), "4.1407", difference, "1"]);
  assertStringIncludes(
    markdown,
    "- Documents: 1, of 8846 tokens\n- Weights as the checkpoint has them, keys and values in f16",
  );
  assertEquals([method.corpus, method.published], ["proof-pile", "Yarn-Llama-2-7b-64k"]);
});

Deno.test("reproduce takes only documents as long as the authors took, unless told otherwise", async () => {
  const finished = await skein(["reproduce", PG_NANO, "proof-pile", BOOK, "--lengths", "64", "--json"]);
  assertEquals([finished.code, finished.stdout], [1, ""]);
  assertStringIncludes(finished.stderr, "skipped 1 document of fewer than 131072 tokens");
  assertStringIncludes(lastLine(finished), "no document has 131072 tokens or more");
});

Deno.test("reproduce wants to know the corpus", async () => {
  assertStringIncludes(lastLine(await skein(["reproduce", PG_NANO, BOOK])), "expected proof-pile or pg19");
});
