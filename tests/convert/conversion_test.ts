import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  CapacityError,
  type ConversionProgress,
  convertModel,
  FormatError,
  inspectModel,
  loadModel,
} from "../../mod.ts";
import { openCheckpoint } from "../../src/checkpoint/checkpoint.ts";
import { denoSource } from "../../src/checkpoint/deno_source.ts";
import { filesBelow } from "../../src/hub/hub_cache.ts";
import { withRoomFor } from "../faults/full_disk.ts";
import { CONFIG, encode, sourceOf, tensorsOf } from "../checkpoint/tiny_checkpoint.ts";

const TINY = new URL("../testdata/tiny/", import.meta.url).pathname;
const PROMPT = [1, 2, 3, 4, 5, 6, 7, 8, 9];
const SETTINGS = { contextLength: 64 } as const;

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function logprobs(path: string, weights: "auto" | "f16" | "q8" | "q4"): Promise<Float32Array> {
  using model = await loadModel(path, { ...SETTINGS, weights });
  return (await model.score(PROMPT)).logprobs;
}

for (
  const [name, weights] of [
    ["mqa_bias", "q4"],
    ["padded_rows", "q4"],
    ["padded_rows", "f16"],
    ["storage_forms/torch_sharded", "q4"],
  ] as const
) {
  Deno.test(`a conversion to ${weights} computes bit for bit what its source does with weights ${weights}: ${name}`, async () => {
    await withFolder(async (folder) => {
      const { path, files, bytes } = await convertModel(TINY + name, `${folder}/out/`, { weights });
      assertEquals([path, files], [`${folder}/out`, ["model.safetensors"]]);
      const size = (await Deno.stat(`${path}/model.safetensors`)).size;
      assert(bytes > 0 && size > bytes && size < bytes + 20_000, `${size} bytes, ${bytes} of weights`);
      const expected = await logprobs(TINY + name, weights);
      assertEquals(await logprobs(path, name === "padded_rows" ? "auto" : weights), expected);
      assertEquals(await filesBelow(folder), (await filesBelow(path)).map((file) => `out/${file}`));
    });
  });
}

Deno.test("a conversion writes files of the size that is asked for, and an index of them", async () => {
  await withFolder(async (folder) => {
    const source = `${TINY}gqa_tied`;
    const seen: ConversionProgress[] = [];
    const { path, files } = await convertModel(source, `${folder}/out`, {
      weights: "q8",
      shardBytes: 10_000,
      onProgress: (progress) => progress.phase !== "download" && seen.push(progress),
    });
    assert(files.length > 2 && files[0] === `model-00001-of-0000${files.length}.safetensors`, files.join());
    assertEquals(await logprobs(path, "auto"), await logprobs(source, "q8"));
    assertEquals([...new Set(seen.map(({ phase }) => phase))], ["convert", "verify"]);
    assertEquals([seen.at(-1)!.loaded, seen.at(-1)!.file], [seen.at(-1)!.total, files.at(-1)]);
  });
});

Deno.test("a conversion onto a full disk says so, and goes on after the files that it finished", async () => {
  await withFolder(async (folder) => {
    const work = () => convertModel(`${TINY}gqa_tied`, `${folder}/out`, { weights: "q8", shardBytes: 10_000 });
    for (const room of [0, 100, 12_000, 20_000]) {
      await assertRejects(() => withRoomFor(room, work), CapacityError, "the disk is full after ");
      assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["out.incomplete"]);
    }
    const { path } = await work();
    assertEquals(await logprobs(path, "auto"), await logprobs(`${TINY}gqa_tied`, "q8"));
  });
});

Deno.test("a conversion that was interrupted goes on after the files that it finished", async () => {
  await withFolder(async (folder) => {
    const source = `${TINY}gqa_tied`;
    const options = { weights: "q8", shardBytes: 10_000 } as const;
    const stop = new AbortController();
    const onProgress = ({ file }: { file: string }) => {
      if (file.startsWith("model-00003")) stop.abort(new Error("enough"));
    };
    const work = () => convertModel(source, `${folder}/out`, { ...options, onProgress, signal: stop.signal });
    await assertRejects(work, Error, "enough");
    const left = (await filesBelow(`${folder}/out.incomplete`)).filter((file) => file.startsWith("model"));
    assertEquals(left.map((file) => file.slice(0, 11)), ["model-00001", "model-00002"]);
    const made = (await Deno.stat(`${folder}/out.incomplete/${left[0]}`)).mtime;
    await assertRejects(
      () => convertModel(source, `${folder}/out`, { ...options, weights: "q4" }),
      RangeError,
      "is left of a conversion of another model, or to other weights",
    );
    const { path } = await convertModel(source, `${folder}/out`, options);
    assertEquals((await Deno.stat(`${path}/${left[0]}`)).mtime, made);
  });
});

Deno.test("a conversion whose file went bad before the end is noticed, and the file made again", async () => {
  await withFolder(async (folder) => {
    const source = `${TINY}gqa_tied`;
    const options = { weights: "q8", shardBytes: 10_000 } as const;
    let broken = "";
    const onProgress = ({ phase, file }: { phase: string; file: string }) => {
      if (phase === "convert") broken = file;
      if (phase !== "verify" || broken === "") return;
      const path = `${folder}/out.incomplete/${broken}`;
      const bytes = Deno.readFileSync(path);
      bytes[bytes.length - 1]! ^= 1;
      Deno.writeFileSync(path, bytes);
      broken = "";
    };
    const work = () => convertModel(source, `${folder}/out`, { ...options, onProgress });
    await assertRejects(work, FormatError, "reads back otherwise than it was written");
    assertEquals((await convertModel(source, `${folder}/out`, options)).path, `${folder}/out`);
  });
});

Deno.test("a converted checkpoint is loaded as it is stored, and its plan says so", async () => {
  await withFolder(async (folder) => {
    const { path } = await convertModel(`${TINY}gqa_tied`, `${folder}/out`, { weights: "q4" });
    for (const weights of ["f32", "f16", "q8"] as const) {
      await assertRejects(
        () => loadModel(path, { ...SETTINGS, weights }),
        FormatError,
        "use weights auto, or the checkpoint",
      );
    }
    const { plan, tensors } = await inspectModel(path);
    assertEquals(new Set(plan.map(({ weights }) => weights)), new Set(["auto"]));
    assertEquals(tensors.find(({ name }) => name.endsWith("q_proj.weight"))!.dtype, "SKEIN_Q4");
    await assertRejects(
      () => convertModel(path, `${folder}/again`, { weights: "q4" }),
      FormatError,
      "converted already",
    );
    await assertRejects(
      () => convertModel(`${TINY}gqa_tied`, path, { weights: "q4" }),
      RangeError,
      "it is there already",
    );
    await assertRejects(
      () => convertModel(`${TINY}storage_forms/q4_0.gguf`, `${folder}/gguf`, { weights: "q4" }),
      FormatError,
      "it is a GGUF file",
    );
  });
});

Deno.test("a conversion refuses values that its format cannot hold, and leaves no folder of that name", async () => {
  await withFolder(async (folder) => {
    const tensors = tensorsOf("F32");
    const name = "model.layers.0.mlp.up_proj.weight";
    const values = new Float32Array(tensors.get(name)!.data.buffer.slice(0));
    values[7] = 1e30;
    tensors.set(name, { ...tensors.get(name)!, data: encode("F32", values) });
    const source = sourceOf(tensors, CONFIG, { "tokenizer.json": "{}" });
    await assertRejects(
      () => convertModel(source, `${folder}/out`, { weights: "q8" }),
      FormatError,
      "too large for float16",
    );
    assert(!(await filesBelow(folder)).some((file) => file.startsWith("out/")));
  });
});

Deno.test("openCheckpoint() refuses a converted layout that it does not know, or that does not fit together", async () => {
  await withFolder(async (folder) => {
    const { path } = await convertModel(`${TINY}gqa_tied`, `${folder}/out`, { weights: "q4" });
    const file = `${path}/model.safetensors`;
    const text = new TextDecoder("latin1").decode(await Deno.readFile(file));
    for (
      const [message, from, to] of [
        ['skein.layout is "2", expected "1"', '"skein.layout":"1"', '"skein.layout":"2"'],
        ["and, as model.layers.0.mlp.up_proj.weight.q4.scales", "up_proj.weight.q4.scales", "up_proj.weight.q4.scalez"],
      ] as const
    ) {
      await Deno.writeFile(file, Uint8Array.from(text.replace(from, to), (letter) => letter.charCodeAt(0)));
      const source = await denoSource(path);
      await assertRejects(() => openCheckpoint(source), FormatError, message);
      source.close();
    }
  });
});
