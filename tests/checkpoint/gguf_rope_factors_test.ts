import { assert, assertEquals, assertRejects } from "@std/assert";
import { openCheckpoint } from "../../src/checkpoint/checkpoint.ts";
import { denoSource } from "../../src/checkpoint/deno_source.ts";
import { readRopeFactors } from "../../src/checkpoint/gguf_rope_factors.ts";
import { blobSource } from "../../src/checkpoint/source.ts";
import { FormatError } from "../../src/errors.ts";
import { type ModelConfig, parseConfig, parseGgufConfig } from "../../src/model/config.ts";
import { ropeFrequencies } from "../../src/model/rope.ts";

const folder = new URL("../testdata/tiny/llama3_rope/", import.meta.url);

Deno.test("rope_freqs.weight of a GGUF file is Llama 3.1's scaling of the checkpoint it was made from", async () => {
  const frequencies = ({ ropeScaling, rotaryDim, ropeTheta }: ModelConfig) =>
    ropeFrequencies(ropeScaling, { rotaryDim, ropeTheta }, 1);
  const source = await denoSource(new URL("f16.gguf", folder).pathname);
  const { config, configFile, tensors } = await openCheckpoint(source);
  const gguf = parseGgufConfig(config, tensors, configFile);
  const original = parseConfig(JSON.parse(await Deno.readTextFile(new URL("config.json", folder))));
  const [read, made] = [frequencies(gguf), frequencies(original)];
  assertEquals([gguf.ropeScaling.type, gguf.ropeSource], ["factors", "rope_freqs.weight"]);
  assertEquals([original.ropeScaling.type, original.ropeSource], ["llama3", "rope_scaling"]);
  assertEquals([read.attentionFactor, made.attentionFactor], [1, 1]);
  assertEquals(read.invFreq.length, made.invFreq.length);
  for (const [j, frequency] of made.invFreq.entries()) {
    // The file's divisor is rounded, and so is the division.
    assert(Math.abs(read.invFreq[j]! / frequency - 1) < 2 ** -22, `Frequency ${j} is ${read.invFreq[j]}`);
  }
  assert(made.invFreq.some((frequency, j) =>
    frequency < 0.3 * ropeFrequencies({ type: "none" }, {
          rotaryDim: gguf.rotaryDim,
          ropeTheta: gguf.ropeTheta,
        }, 1).invFreq[j]!
  ));
  source.close();
});

Deno.test("readRopeFactors() refuses a tensor that is no vector of numbers", async () => {
  const source = blobSource(new Map([["m.gguf", new Blob([new Uint8Array(64)])]]));
  const read = (dtype: string, shape: readonly number[]) =>
    readRopeFactors(source, new Map([["rope_freqs.weight", { file: "m.gguf", dtype, shape, begin: 0, end: 32 }]]));
  assertEquals(await read("F32", [8]), { "rope_freqs.weight": new Array(8).fill(0) });
  assertEquals(await readRopeFactors(source, new Map()), {});
  const refused: [string, number[]][] = [["F16", [16]], ["F32", [2, 4]], ["F32", [7]], ["F32", [1e9]]];
  for (const [dtype, shape] of refused) {
    const message = `it is ${dtype} [${shape.join(", ")}], expected F32 [head_dim / 2]`;
    await assertRejects(() => read(dtype, shape), FormatError, message);
  }
});
