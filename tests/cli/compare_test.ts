import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { loadModel } from "../../mod.ts";
import { comparisonTable } from "../../src/cli/compare.ts";
import { lastLine, PG_NANO, skein } from "./skein_process.ts";

const BOOK = new URL("../testdata/pg19/keith_of_the_border.txt", import.meta.url).pathname;

Deno.test("compare gives what perplexity gives under each scaling, and draws it", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const svg = `${folder}/plot.svg`;
    const measure = ["--lengths", "64,384", "--truncate", "--json"];
    const scalings = 'none,own,{"type":"linear","factor":8}';
    const compared = await skein(["compare", PG_NANO, BOOK, "--scalings", scalings, "--svg", svg, ...measure]);
    assertEquals([compared.code, compared.stderr], [0, ""]);
    const { results } = JSON.parse(compared.stdout);
    assertEquals(results.map((row: { scaling: string }) => row.scaling), [
      ...["none", "none", "own", "own"],
      ...['{"type":"linear","factor":8}', '{"type":"linear","factor":8}'],
    ]);
    const book = await Deno.readTextFile(BOOK);
    for (const [i, ropeScaling] of (["none", undefined, { rope_type: "linear", factor: 8 }] as const).entries()) {
      using model = await loadModel(PG_NANO, ropeScaling === undefined ? {} : { ropeScaling });
      const tokens = model.tokenizer.encode(book).subarray(0, 384);
      const { perplexity } = await model.score(tokens);
      const got = results[2 * i + 1].perplexity;
      assert(Math.abs(got / perplexity - 1) < 1e-6, `${got} is not ${perplexity}`);
    }
    // The model was trained to 2,048 tokens with YaRN; without it, it fails.
    assert(results[1].perplexity > 2 * results[3].perplexity);
    assertStringIncludes(await Deno.readTextFile(svg), "<title>Perplexity of pg-nano-yarn-2k</title>");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("compare refuses scalings that it does not know, by name", async () => {
  const refused = async (scalings: string[], message: string) => {
    const finished = await skein(["compare", PG_NANO, BOOK, ...scalings, "--lengths", "32", "--truncate", "--json"]);
    assertEquals([finished.code, finished.stdout], [1, ""]);
    assertStringIncludes(lastLine(finished), message);
  };
  await refused([], "Expected --scalings, such as none,linear:8,yarn:8");
  await refused(["--scalings", "none,none"], "expected different scalings");
  await refused(["--scalings", "none,stretched:8"], '"stretched"');
  await refused(["--scalings", "none,yarn"], 'Cannot use --scalings "yarn"');
  await refused(["--scalings", "none,{"], 'Cannot use --scalings "{"');
});

Deno.test("comparisonTable() has a row for each scaling and a column for each length", () => {
  const row = (scaling: string, contextLength: number, perplexity: number) => ({
    ...{ scaling, contextLength, perplexity },
    ...{ tokenPerplexity: perplexity, tokens: 256, windows: 1 },
  });
  assertEquals(
    comparisonTable([row("none", 256, 49.456), row("none", 2048, 230.05), row("yarn:8", 256, 64.85)]),
    "scaling    256    2048\nnone     49.46  230.05\nyarn:8   64.85\n",
  );
});
