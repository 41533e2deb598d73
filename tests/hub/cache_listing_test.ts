import { assertEquals } from "@std/assert";
import { listCache, removeFromCache } from "../../src/hub/cache_listing.ts";
import type { HubFile } from "../../src/hub/hub_api.ts";
import { filesBelow, ModelCache } from "../../src/hub/hub_cache.ts";
import { parseModelId } from "../../src/hub/model_id.ts";
import { hashesOf } from "./local_hub.ts";

const A = "a".repeat(40);
const B = "b".repeat(40);

/** Puts files into a cache as a pull does. */
async function store(cache: ModelCache, commit: string, files: Record<string, string>): Promise<void> {
  await Deno.mkdir(`${cache.folder}/blobs`, { recursive: true });
  for (const [path, text] of Object.entries(files)) {
    const bytes = new TextEncoder().encode(text);
    const file: HubFile = { path, size: bytes.length, hash: { algorithm: "sha256", hex: hashesOf(bytes).sha256 } };
    await Deno.writeFile(cache.blob(file), bytes);
    await cache.link(commit, file);
  }
}

const MODEL = { "config.json": "{}", "tokenizer.json": "[1]", "model.safetensors": "weights" };

async function withCache(use: (folder: string, cache: ModelCache) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder, new ModelCache(folder, "org/name"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const remove = (folder: string, id: string) => removeFromCache(folder, parseModelId(id)!, !id.includes("@"));

Deno.test("listCache() tells models, their sizes and whether they are whole", async () => {
  await withCache(async (folder, cache) => {
    assertEquals(await listCache(`${folder}/none`), []);
    await store(cache, A, MODEL);
    await cache.writeRef("main", A);
    await store(cache, B, { ...MODEL, "config.json": "{ }" });
    await Deno.remove(`${cache.snapshot(B)}/tokenizer.json`);
    const gguf = new ModelCache(folder, "org/name-GGUF");
    await store(gguf, A, { "a.gguf": "12345", "sub/b.gguf": "123" });
    await cache.writeRef("refs/pr/1", B);
    const partial = new ModelCache(folder, "org/part");
    await Deno.mkdir(`${partial.folder}/blobs`, { recursive: true });
    await Deno.writeTextFile(`${partial.folder}/blobs/${"c".repeat(64)}.incomplete`, "1234");
    assertEquals(await listCache(folder), [
      { id: "org/name", commit: A, bytes: 12, isComplete: true },
      { id: "org/name@refs/pr/1", commit: B, bytes: 10, isComplete: false },
      { id: `org/name-GGUF/a.gguf@${A}`, commit: A, bytes: 5, isComplete: true },
      { id: `org/name-GGUF/sub/b.gguf@${A}`, commit: A, bytes: 3, isComplete: true },
      { id: "org/part", commit: undefined, bytes: 4, isComplete: false },
    ]);
  });
});

Deno.test("removeFromCache() removes a revision and what only it shows", async () => {
  await withCache(async (folder, cache) => {
    await store(cache, A, MODEL);
    await cache.writeRef("main", A);
    await store(cache, B, { ...MODEL, "config.json": "{ }" });
    await cache.writeRef("next", B);
    assertEquals(await remove(folder, "org/name@next"), 3 + 40);
    assertEquals(await cache.completeModel(parseModelId("org/name")!, A), cache.snapshot(A));
    assertEquals((await filesBelow(`${cache.folder}/blobs`)).length, 3);
    assertEquals(await remove(folder, "org/name@next"), undefined);
    assertEquals(await remove(folder, `org/name@${B}`), undefined);
  });
});

Deno.test("removeFromCache() removes one file of several", async () => {
  await withCache(async (folder, cache) => {
    await store(cache, A, { "a.gguf": "12345", "b.gguf": "123" });
    await cache.writeRef("main", A);
    assertEquals(await remove(folder, "org/name/a.gguf"), 5);
    assertEquals((await listCache(folder)).map(({ id }) => id), ["org/name/b.gguf"]);
  });
});

Deno.test("removeFromCache() removes all of a model, parts of downloads too", async () => {
  await withCache(async (folder, cache) => {
    await store(cache, A, MODEL);
    await Deno.writeTextFile(`${cache.folder}/blobs/x.incomplete`, "1234");
    assertEquals(await remove(folder, "org/name"), 12 + 4);
    assertEquals([...Deno.readDirSync(folder)], []);
    assertEquals(await remove(folder, "org/name"), undefined);
  });
});
