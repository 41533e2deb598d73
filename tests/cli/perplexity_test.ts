import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { loadModel } from "../../mod.ts";
import { lastLine, PG_NANO, skein, startSkein } from "./skein_process.ts";

const BOOK = await Deno.readTextFile(new URL("../testdata/pg19/keith_of_the_border.txt", import.meta.url));

/** Runs with a folder of documents: one of some 250 tokens, two lines of JSON, and one that is too short. */
async function withDocuments(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${folder}/books/inner`, { recursive: true });
    await Deno.writeTextFile(`${folder}/books/inner/keith.txt`, BOOK.slice(0, 1000));
    await Deno.writeTextFile(
      `${folder}/books/a.jsonl`,
      [BOOK.slice(2000, 2400), BOOK.slice(5000, 5300)].map((body) => `${JSON.stringify({ body })}\n`).join(""),
    );
    await Deno.writeTextFile(`${folder}/books/b.txt`, "Too short.");
    await Deno.writeTextFile(`${folder}/books/README.md`, "No document.");
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("perplexity measures folders of text and JSON Lines, and says what it skips", () =>
  withDocuments(async (folder) => {
    const args = ["perplexity", PG_NANO, `${folder}/books`, "--field", "body", "--min-tokens", "40"];
    const { code, stdout, stderr } = await skein([...args, "--truncate", "--lengths", "32,64", "--json"]);
    assertEquals([code, stderr], [
      0,
      `skein: note: skipped 1 document of fewer than 40 tokens: ${folder}/books/b.txt\n`,
    ]);
    const { results, method } = JSON.parse(stdout);
    using model = await loadModel(PG_NANO);
    const documents = [BOOK.slice(2000, 2400), BOOK.slice(5000, 5300), BOOK.slice(0, 1000)]
      .map((text) => model.tokenizer.encode(text, { addSpecialTokens: false }));
    assertEquals(
      method.documents.map(({ name, tokens }: { name: string; tokens: number }) => [name.slice(folder.length), tokens]),
      ["/books/a.jsonl:1", "/books/a.jsonl:2", "/books/inner/keith.txt"].map((name, i) => [name, documents[i]!.length]),
    );
    for (const [i, length] of [32, 64].entries()) {
      let mean = 0;
      for (const tokens of documents) {
        const { perplexity } = await model.score([model.tokenizer.bosId!, ...tokens.subarray(0, length - 1)]);
        mean += Math.log(perplexity) / documents.length;
      }
      const { perplexity, ...rest } = results[i];
      assert(Math.abs(perplexity / Math.exp(mean) - 1) < 1e-5, `${perplexity} is not ${Math.exp(mean)}`);
      assertEquals([rest.scaling, rest.context_length, rest.tokens, rest.windows], [
        "yarn:8",
        length,
        3 * (length - 1),
        3,
      ]);
    }
  }));

Deno.test("perplexity measures at the places of a list, and by position", () =>
  withDocuments(async (folder) => {
    await Deno.writeTextFile(
      `${folder}/places.json`,
      '[{"file": "keith.txt", "end": 150}, {"file": "keith.txt", "end": 200}]',
    );
    const { code, stdout } = await skein([
      ...["perplexity", PG_NANO, `${folder}/books/inner`, "--windows", `${folder}/places.json`],
      ...["--lengths", "100", "--buckets", "0,40,100", "--json"],
    ]);
    assertEquals(code, 0);
    const [whole, near, far] = JSON.parse(stdout).results;
    assertEquals([whole.tokens, near.tokens, far.tokens], [200, 80, 120]);
    assertEquals([whole.positions, near.positions, far.positions], [undefined, [0, 40], [40, 100]]);
    const joined = Math.exp((80 * Math.log(near.token_perplexity) + 120 * Math.log(far.token_perplexity)) / 200);
    assert(Math.abs(joined / whole.token_perplexity - 1) < 1e-9);
  }));

Deno.test("perplexity goes on from --resume to the rows of one run, and refuses the state of another", () =>
  withDocuments(async (folder) => {
    const keith = `${folder}/books/inner`;
    const state = `${folder}/state.json`;
    const run = (lengths: string, ...more: string[]) =>
      skein(["perplexity", PG_NANO, keith, "--stride", "30", "--lengths", lengths, "--json", ...more]);
    const whole = await run("32,64");
    assertEquals((await run("32", "--resume", state)).code, 0);
    const resumed = await run("32,64", "--resume", state);
    assertEquals(resumed.stdout, whole.stdout);
    const { windows } = JSON.parse(whole.stdout).results[0];
    assertEquals(resumed.stderr, `skein: note: --resume knows ${windows} windows\n`);

    const other = await run("32", "--resume", state, "--weights", "q8");
    assertEquals([other.code, other.stdout], [1, ""]);
    assertStringIncludes(lastLine(other), "it was written for another model");
    await Deno.writeTextFile(`${keith}/keith.txt`, BOOK.slice(1, 1001));
    assertStringIncludes(lastLine(await run("32", "--resume", state)), "it was written for other documents");
  }));

Deno.test("an interrupt keeps what --resume has, whole", () =>
  withDocuments(async (folder) => {
    await Deno.writeTextFile(`${folder}/book.txt`, BOOK);
    const state = `${folder}/state.json`;
    const args = ["perplexity", PG_NANO, `${folder}/book.txt`, "--lengths", "64", "--stride", "16", "--resume", state];
    const process = startSkein(args);
    const stderr = new Response(process.stderr).text();
    while (await Deno.stat(state).then(() => false, () => true)) await new Promise((done) => setTimeout(done, 50));
    process.kill("SIGINT");
    assertEquals((await process.status).code, 130);
    const { rows } = JSON.parse(await Deno.readTextFile(state));
    const [windows] = Object.values(rows) as number[][][];
    assert(windows!.length > 0 && windows!.every(([sum]) => sum! > 0));
    assertEquals(
      await stderr,
      `skein: note: --resume has ${windows!.length} window${
        windows!.length === 1 ? "" : "s"
      }; the same command goes on from there\nskein: Interrupted\n`,
    );
    await process.stdout.cancel();
    await process.stdin.close();
  }));

Deno.test("perplexity writes CSV and a table", () =>
  withDocuments(async (folder) => {
    const csv = `${folder}/rows.csv`;
    const args = ["perplexity", PG_NANO, `${folder}/books/inner`, "--lengths", "32", "--truncate", "--csv", csv];
    const { code, stdout } = await skein(args);
    assertEquals(code, 0);
    const [, line] = (await Deno.readTextFile(csv)).split("\n");
    const perplexity = Number(line!.split(",")[4]);
    assert(line!.startsWith("yarn:8,32,,,") && line!.endsWith(",31,1"), line);
    assertStringIncludes(stdout, perplexity.toFixed(4));
    assertEquals((await Array.fromAsync(Deno.readDir(folder))).length, 2);
  }));

Deno.test("perplexity has rows of the lengths that a document fills, and says which have none", () =>
  withDocuments(async (folder) => {
    const measure = (...args: string[]) => skein(["perplexity", PG_NANO, `${folder}/books/inner`, ...args]);
    const whole = await measure("--json");
    assertEquals([whole.code, whole.stderr], [0, ""]);
    const { results: [row, ...others], method } = JSON.parse(whole.stdout);
    const longest = method.documents[0].tokens + 1;
    assertEquals([row.context_length, row.tokens, others], [Math.min(256, longest), longest - 1, []]);
    assertEquals([method.stride, method.protocol.endsWith("those of 256 tokens or less do not overlap")], [256, true]);
    const { code, stdout, stderr } = await measure("--lengths", "32,4096,8192", "--context-length", "8192");
    assertEquals(code, 0);
    assertStringIncludes(
      stderr,
      `note: the longest document has ${longest} tokens with BOS, so that there is no row of 4096, 8192\n`,
    );
    assertEquals(stdout.split("\n").slice(2).map((line) => line.split(/ {2,}/)[1]), ["length", "32", undefined]);
    assert(!stdout.includes("positions"), stdout);
    const none = await measure("--lengths", "2048");
    assertEquals([none.code, none.stdout, lastLine(none)], [
      ...[1, ""],
      `skein: Cannot measure at length 2048: the longest document has ${longest} tokens with BOS; ` +
      `give a longer one, or --lengths ${longest}`,
    ]);
  }));

Deno.test("perplexity says which documents end before its longest window", () =>
  withDocuments(async (folder) => {
    const args = ["perplexity", PG_NANO, `${folder}/books`, "--field", "body", "--truncate", "--lengths", "32"];
    const { code, stderr } = await skein([...args, "--json"]);
    assertEquals([code, stderr], [
      0,
      `skein: note: 1 document shorter than 32 tokens: ${folder}/books/b.txt; --min-tokens 31 leaves such out\n`,
    ]);
  }));

Deno.test("perplexity refuses documents of which nothing is left", () =>
  withDocuments(async (folder) => {
    const short = await skein(["perplexity", PG_NANO, `${folder}/books/b.txt`, "--min-tokens", "40", "--json"]);
    assertEquals([short.code, short.stdout], [1, ""]);
    assertStringIncludes(lastLine(short), "no document has 40 tokens or more");
    await Deno.writeTextFile(`${folder}/nothing.jsonl`, "\n");
    const nothing = await skein(["perplexity", PG_NANO, `${folder}/nothing.jsonl`]);
    assertEquals(lastLine(nothing), "skein: Cannot measure perplexity: the files hold no document");
  }));

const REFUSED: readonly (readonly [readonly string[], string])[] = [
  [[], "Expected FILES as argument 2"],
  [["FOLDER/none.txt"], "no such file"],
  [["FOLDER/empty"], "it has no .txt, .text or .jsonl file"],
  [["FOLDER/books", "--truncate", "--stride", "5"], "Cannot use --truncate with --stride"],
  [["FOLDER/books", "--buckets", "0,5"], "Cannot use --buckets without --windows"],
  [
    ["FOLDER/books", "--windows", "w", "--buckets", "0,5", "--svg", "FOLDER/a.svg"],
    "Cannot draw --svg of --buckets alone",
  ],
  [["FOLDER/books", "--lengths", "64,32000", "--context-length", "64"], "Cannot measure at length 32000"],
  [
    ["FOLDER/books", "--csv", "FOLDER/rows", "--resume", "FOLDER/rows"],
    "Cannot write --resume and --csv to",
  ],
  [["FOLDER/books", "--csv", "FOLDER/no/rows.csv"], "its folder is not there"],
  [["FOLDER/books", "--svg", "FOLDER/books"], "it is a directory"],
  [["FOLDER/books", "--windows", "FOLDER/books/a.jsonl"], "Cannot read --windows"],
];
for (const [args, message] of REFUSED) {
  Deno.test(`perplexity refuses ${args.join(" ") || "no documents"} before it loads the model`, () =>
    withDocuments(async (folder) => {
      await Deno.mkdir(`${folder}/empty`);
      const finished = await skein(["perplexity", "nowhere", ...args.map((arg) => arg.replace("FOLDER", folder))]);
      assertEquals([finished.code, finished.stdout], [1, ""]);
      assertStringIncludes(lastLine(finished), message);
    }));
}
