import { assertEquals, assertRejects } from "@std/assert";
import { denoSource } from "../../src/checkpoint/deno_source.ts";
import { FormatError } from "../../src/errors.ts";

const folder = new URL("../testdata/pg-nano-yarn-2k", import.meta.url).pathname;

Deno.test("denoSource() lists and reads a directory", async () => {
  const source = await denoSource(folder);
  const files = await source.list();
  assertEquals(files.includes("config.json") && files.includes("model.safetensors"), true);
  const config = await Deno.readFile(`${folder}/config.json`);
  assertEquals(await source.size("config.json"), config.length);
  assertEquals(await source.read("config.json", 5, 50), config.slice(5, 50));
  source.close();
});

Deno.test("denoSource() reads one file and shows no other", async () => {
  const source = await denoSource(`${folder}/config.json`);
  assertEquals(await source.list(), ["config.json"]);
  assertEquals(await source.read("config.json", 0, 1), new TextEncoder().encode("{"));
  source.close();
});

Deno.test("denoSource() serves reads that overlap in time", async () => {
  const source = await denoSource(folder);
  const bytes = await Deno.readFile(`${folder}/tokenizer.json`);
  const reads = Array.from({ length: 20 }, (_, i) => source.read("tokenizer.json", i * 1000, i * 1000 + 5000));
  for (const [i, read] of (await Promise.all(reads)).entries()) {
    assertEquals(read, bytes.slice(i * 1000, i * 1000 + 5000));
  }
  source.close();
});

Deno.test("denoSource() says what is missing or too short", async () => {
  await assertRejects(() => denoSource(`${folder}/none`), FormatError, "none: expected a directory with a model");
  const source = await denoSource(folder);
  await assertRejects(() => source.read("none.bin", 0, 1), FormatError, "Cannot find none.bin in");
  const size = await source.size("config.json");
  await assertRejects(
    () => source.read("config.json", 0, size + 1),
    FormatError,
    `config.json: it has ${size} bytes, expected at least ${size + 1}`,
  );
  source.close();
});
