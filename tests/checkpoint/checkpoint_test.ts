import { assert, assertEquals, assertRejects } from "@std/assert";
import { openCheckpoint } from "../../src/checkpoint/checkpoint.ts";
import { denoSource } from "../../src/checkpoint/deno_source.ts";
import { blobSource, type ModelSource } from "../../src/checkpoint/source.ts";
import { FormatError } from "../../src/errors.ts";
import { CONFIG, safetensors, sourceOf, tensorsOf } from "./tiny_checkpoint.ts";

const forms = new URL("../testdata/tiny/storage_forms/", import.meta.url);

async function open(path: string) {
  const source = await denoSource(new URL(path, forms).pathname);
  try {
    const checkpoint = await openCheckpoint(source);
    using tokenizer = await checkpoint.tokenizer();
    return { ...checkpoint, ids: [...tokenizer.encode("Call me Ishmael", true)] };
  } finally {
    source.close();
  }
}

for (
  const [path, format] of [
    ["safetensors_bf16", "safetensors"],
    ["safetensors_sharded", "safetensors"],
    ["torch_bf16", "torch"],
    ["torch_sharded", "torch"],
  ] as const
) {
  Deno.test(`openCheckpoint() reads ${path}`, async () => {
    const checkpoint = await open(path);
    const whole = await open("safetensors_f16");
    assertEquals(checkpoint.format, format);
    assertEquals(checkpoint.configFile, "config.json");
    assertEquals(checkpoint.config.model_type, "llama");
    assertEquals([...checkpoint.tensors.keys()].sort(), [...whole.tensors.keys()].sort());
    for (const [name, { shape, begin, end, dtype }] of checkpoint.tensors) {
      assertEquals(shape, whole.tensors.get(name)!.shape);
      assertEquals(end - begin, shape.reduce((product, extent) => product * extent, dtype === "F32" ? 4 : 2));
    }
    assertEquals(checkpoint.ids, whole.ids);
  });
}

Deno.test("openCheckpoint() reads a GGUF file with its tokenizer", async () => {
  const { format, configFile, config, tensors, ids } = await open("q4_0.gguf");
  assertEquals([format, configFile, config["general.architecture"]], ["gguf", "q4_0.gguf", "llama"]);
  assertEquals(tensors.get("token_embd.weight")!.dtype, "Q4_0");
  assertEquals(ids, (await open("safetensors_f16")).ids);
});

Deno.test("openCheckpoint() takes the one GGUF file of a directory, and asks which of several", async () => {
  const file = new Blob([await Deno.readFile(new URL("f16.gguf", forms))]);
  assertEquals((await openCheckpoint(blobSource(new Map([["a.gguf", file]])))).format, "gguf");
  await assertRejects(
    () => openCheckpoint(blobSource(new Map([["a.gguf", file], ["b.gguf", file]]), "models")),
    FormatError,
    "Cannot choose a model in models: it has 2 GGUF files (a.gguf, b.gguf)",
  );
});

Deno.test("openCheckpoint() prefers safetensors to a torch file", async () => {
  const source = sourceOf(tensorsOf("F32"), CONFIG, { "pytorch_model.bin": "not a zip file" });
  assertEquals((await openCheckpoint(source)).format, "safetensors");
});

Deno.test("openCheckpoint() reads a config without weights", async () => {
  const checkpoint = await openCheckpoint(
    sourceOf(undefined, CONFIG, { "generation_config.json": `{"eos_token_id": 3}` }),
  );
  assertEquals([checkpoint.format, checkpoint.tensors.size], ["none", 0]);
  assertEquals(checkpoint.generationConfig, { eos_token_id: 3 });
});

Deno.test("openCheckpoint() says what a directory without a model lacks", async () => {
  const source = blobSource(new Map([["notes.txt", new Blob(["hello"])]]), "folder");
  const error = await assertRejects(
    () => openCheckpoint(source),
    FormatError,
    "Cannot find a model in folder: expected config.json",
  );
  assertEquals(error.code, "Missing");
});

Deno.test("openCheckpoint() says that there is no tokenizer", async () => {
  const checkpoint = await openCheckpoint(sourceOf(tensorsOf("F32")));
  await assertRejects(() => checkpoint.tokenizer(), FormatError, "tiny: expected tokenizer.json or tokenizer.model");
});

Deno.test("openCheckpoint() names the file of a broken tokenizer", async () => {
  const checkpoint = await openCheckpoint(sourceOf(undefined, CONFIG, { "tokenizer.json": "{" }));
  const error = await assertRejects(() => checkpoint.tokenizer(), FormatError, "Cannot read tokenizer.json");
  assertEquals(error.file, "tokenizer.json");
});

const index = (map: Record<string, unknown>) => JSON.stringify({ metadata: {}, weight_map: map });

/** A source of two shards and an index over them. */
function sharded(map: Record<string, unknown>, shards: Record<string, Blob>): ModelSource {
  return sourceOf(undefined, CONFIG, { ...shards, "model.safetensors.index.json": index(map) });
}

Deno.test("openCheckpoint() refuses indexes that do not fit their shards", async () => {
  const tensors = [...tensorsOf("F32")];
  const one = safetensors(new Map(tensors.slice(0, 2)));
  const [first, second, third] = tensors.map(([name]) => name) as [string, string, string];
  const cases: [ModelSource, string, string][] = [
    [
      sharded({ [first]: "1", [third]: "2" }, { "1": one }),
      "Missing",
      "Cannot find 2 in tiny: model.safetensors.index.json lists it",
    ],
    [sharded({ [first]: "1", [third]: "1" }, { "1": one }), "Missing", `Cannot find tensor ${third} in 1`],
    [sharded({ [first]: "../1", [second]: "1" }, { "1": one }), "", "Cannot read model.safetensors.index.json"],
    [sharded({ [first]: 5 }, { "1": one }), "", "Cannot read model.safetensors.index.json"],
    [sharded({ [first]: "1" }, { "1": one.slice(0, one.size - 4) }), "", "Cannot read 1"],
  ];
  for (const [source, code, message] of cases) {
    const error = await assertRejects(() => openCheckpoint(source), FormatError, message);
    if (code !== "") assertEquals(error.code, code);
  }
});

Deno.test("openCheckpoint() takes shards in any number and order", async () => {
  const tensors = tensorsOf("F16");
  const shards: Record<string, Blob> = {};
  const map: Record<string, string> = {};
  for (const [i, [name, data]] of [...tensors].entries()) {
    const shard = `${(i * 5) % tensors.size}.safetensors`;
    shards[shard] = safetensors(new Map([[name, data]]));
    map[name] = shard;
  }
  const checkpoint = await openCheckpoint(sharded(map, shards));
  assertEquals(checkpoint.tensors.size, tensors.size);
  for (const [name, { file }] of checkpoint.tensors) assertEquals(file, map[name]!);
});

Deno.test("openCheckpoint() refuses a weight file cut anywhere", async () => {
  const file = safetensors(tensorsOf("F32"));
  for (const size of [0, 7, 8, 100, file.size - 1]) {
    const source = sourceOf(undefined, CONFIG, { "model.safetensors": file.slice(0, size) });
    const error = await assertRejects(() => openCheckpoint(source), FormatError, "Cannot read model.safetensors");
    assert(error.code !== "Invalid", error.message);
  }
});

const splitFolder = new URL("../testdata/tiny/yarn_rope_scaling/split/", import.meta.url);
const splitNames = [1, 2, 3].map((i) => `model-0000${i}-of-00003.gguf`);

/** Parts of a split GGUF file under other names. */
async function renamedParts(names: Readonly<Record<string, string>>): Promise<ModelSource> {
  const files = Object.entries(names).map(async ([name, from]) => {
    return [name, new Blob([await Deno.readFile(new URL(from, splitFolder))])] as const;
  });
  return blobSource(new Map(await Promise.all(files)), "parts");
}

Deno.test("openCheckpoint() reads all parts of a split GGUF file, from its folder or by any of them", async () => {
  const whole = await openCheckpoint(await denoSource(new URL("../f16.gguf", splitFolder).pathname));
  for (const path of ["", splitNames[0], splitNames[2]]) {
    const source = await denoSource(new URL(path!, splitFolder).pathname);
    const { tensors, config, tokenizer, configFile } = await openCheckpoint(source);
    assertEquals([configFile, config["general.architecture"]], [splitNames[0], whole.config["general.architecture"]]);
    assertEquals([...tensors.keys()].sort(), [...whole.tensors.keys()].sort());
    assertEquals(new Set([...tensors.values()].map(({ file }) => file)), new Set(splitNames));
    for (const [name, { file, begin, end }] of tensors) {
      const other = whole.tensors.get(name)!;
      assertEquals(await source.read(file, begin, end), await whole.source.read(other.file, other.begin, other.end));
    }
    using one = await tokenizer();
    using two = await whole.tokenizer();
    assertEquals(one.encode("Call me Ishmael", true), two.encode("Call me Ishmael", true));
    source.close();
  }
  whole.source.close();
});

Deno.test("openCheckpoint() refuses parts of a GGUF file that are missing or do not belong together", async () => {
  const [first, second, third] = splitNames as [string, string, string];
  const cases: [Record<string, string>, string, string][] = [
    [{ [first]: first, [third]: third }, "Missing", `Cannot find ${second} in parts: the model is split into 3 files`],
    [{ [first]: first, [second]: third, [third]: second }, "Split", `${second}: it says that it is part 3 of 3`],
    [{ "model.gguf": first }, "Split", "it says that it is part 1 of 3, and its name that it is 1 of 1"],
    [
      { [first]: "../f16.gguf", [second]: second, [third]: third },
      "Split",
      "part 1 of 1, and its name that it is 1 of 3",
    ],
  ];
  for (const [names, code, message] of cases) {
    const error = await assertRejects(async () => openCheckpoint(await renamedParts(names)), FormatError, message);
    assertEquals(error.code, code);
  }
});
