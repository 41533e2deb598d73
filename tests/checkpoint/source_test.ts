import { assertEquals, assertRejects } from "@std/assert";
import { blobSource, readFile, readJson } from "../../src/checkpoint/source.ts";
import { FormatError } from "../../src/errors.ts";

const source = blobSource(
  new Map([
    ["weights", new Blob([Uint8Array.from({ length: 100 }, (_, i) => i)])],
    ["config.json", new Blob([`{"a": 1}`])],
    ["array.json", new Blob(["[1]"])],
    ["broken.json", new Blob(["{"])],
    ["latin1.json", new Blob([Uint8Array.of(0x22, 0xe9, 0x22)])],
  ]),
);

Deno.test("blobSource() lists its files in order", async () => {
  assertEquals(await source.list(), ["array.json", "broken.json", "config.json", "latin1.json", "weights"]);
});

Deno.test("blobSource() reads ranges, into memory of the caller's too", async () => {
  assertEquals(await source.size("weights"), 100);
  assertEquals(await source.read("weights", 10, 13), Uint8Array.of(10, 11, 12));
  const memory = new Uint8Array(10);
  const view = await source.read("weights", 97, 100, memory);
  assertEquals(view, Uint8Array.of(97, 98, 99));
  assertEquals(view.buffer, memory.buffer);
});

Deno.test("blobSource() refuses a range that the file does not have, and a file that is not there", async () => {
  const error = await assertRejects(
    () => source.read("weights", 90, 101),
    FormatError,
    "weights: it has 100 bytes, expected at least 101",
  );
  assertEquals([error.file, error.code], ["weights", "Truncated"]);
  await assertRejects(() => source.size("none"), FormatError, "Cannot find none in the chosen files");
});

Deno.test("readFile() reads all of a file", async () => {
  assertEquals((await readFile(source, "weights")).length, 100);
});

Deno.test("readFile() refuses to read weights whole", async () => {
  const huge = { ...source, size: () => Promise.resolve(2 ** 40) };
  await assertRejects(() => readFile(huge, "weights"), FormatError, "weights: it has 1099511627776 bytes");
});

Deno.test("readJson() gives objects and refuses the rest", async () => {
  assertEquals(await readJson(source, "config.json"), { a: 1 });
  await assertRejects(() => readJson(source, "array.json"), FormatError, "array.json: its top level is no object");
  await assertRejects(() => readJson(source, "broken.json"), FormatError, "broken.json: it is not JSON");
  await assertRejects(() => readJson(source, "latin1.json"), FormatError, "latin1.json: it is not JSON");
});
