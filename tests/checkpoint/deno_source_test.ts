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

Deno.test("denoSource() follows links within a model's folder and into the hub's contents, and no others", async () => {
  const root = await Deno.makeTempDir();
  const model = `${root}/models--org--name/snapshots/${"0".repeat(40)}`;
  try {
    await Deno.mkdir(model, { recursive: true });
    await Deno.mkdir(`${root}/models--org--name/blobs`);
    await Deno.mkdir(`${root}/models--org--name/blobs-of-others`);
    for (const path of ["secret", "models--org--name/blobs/content", "models--org--name/blobs-of-others/secret"]) {
      await Deno.writeTextFile(`${root}/${path}`, "text");
    }
    await Deno.writeTextFile(`${model}/inside`, "text");
    const links = {
      relative: "inside",
      cached: "../../blobs/content",
      out: "../../../secret",
      absolute: `${root}/secret`,
      beside: "../../blobs-of-others/secret",
      twice: "out",
      nowhere: "../none",
    };
    for (const [name, target] of Object.entries(links)) await Deno.symlink(target, `${model}/${name}`);
    const source = await denoSource(model);
    const codeOf = (name: string) => source.size(name).then(() => "", (error) => (error as FormatError).code);
    assertEquals(await Promise.all(Object.keys(links).map(codeOf)), [
      "",
      "",
      "Link",
      "Link",
      "Link",
      "Link",
      "Missing",
    ]);
    await assertRejects(() => source.read("out", 0, 1), FormatError, "it is a link out of the folder");
    source.close();
    // In a folder that is no part of the hub's cache, the way to its contents is a way out.
    await Deno.mkdir(`${root}/models--org--name/model`);
    await Deno.symlink("../blobs/content", `${root}/models--org--name/model/config.json`);
    const other = await denoSource(`${root}/models--org--name/model`);
    await assertRejects(() => other.size("config.json"), FormatError, "it is a link out of the folder");
    other.close();
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
