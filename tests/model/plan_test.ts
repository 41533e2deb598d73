import { assert, assertEquals, assertThrows } from "@std/assert";
import { CapacityError, loadModel } from "../../mod.ts";
import type { ModelConfig } from "../../src/model/config.ts";
import { planMemory, requireFit } from "../../src/model/plan.ts";

const LLAMA_2_7B = {
  ...{ vocabSize: 32000, hiddenSize: 4096, intermediateSize: 11008, nLayers: 32, nHeads: 32, nKvHeads: 32 },
  headDim: 128,
  rotaryDim: 128,
  slidingLayers: [] as readonly number[],
} as ModelConfig;

const sizes = { contextLength: 65536, prefillChunk: 512, maxBatch: 16 };
const input = { weights: "q4", weightsBytes: 4e9, kvCache: "f16", ...sizes } as const;

Deno.test("planMemory() adds up weights, keys and values, and scratch", () => {
  const plan = planMemory(LLAMA_2_7B, { ...input, memoryLimit: 80e9 });
  assertEquals(plan.kvBytes, 2 * 32 * 32 * 65536 * 128 * 2);
  assertEquals(plan.totalBytes, plan.weightsBytes + plan.kvBytes + plan.scratchBytes);
  assertEquals([plan.fits, plan.note], [true, ""]);
});

Deno.test("planMemory() of quantised keys and values: Llama-2-7B at 65,536 tokens on a GPU of 16 GB", () => {
  // 8.5 and 4.5 bits for each of 2 x 32 x 4,096 elements a token.
  assertEquals(planMemory(LLAMA_2_7B, { ...input, kvCache: "q8" }).kvBytes, 17 * 2 ** 30);
  const plan = planMemory(LLAMA_2_7B, {
    ...input,
    kvCache: "q4",
    weightsBytes: 6_738_415_616 * 5 / 8,
    memoryLimit: 15e9,
  });
  assertEquals([plan.kvBytes, plan.fits], [9 * 2 ** 30, true]);
});

Deno.test("planMemory() does not say that a plan fits a device whose memory is unknown", () => {
  const plan = planMemory(LLAMA_2_7B, input);
  assertEquals([plan.fits, plan.note], [null, "device memory unknown"]);
});

Deno.test("planMemory() refuses what is over the limit, and tensors that a binding cannot hold, with the numbers", () => {
  const over = planMemory(LLAMA_2_7B, { ...input, memoryLimit: 16e9 });
  assertEquals(over.fits, false);
  const error = assertThrows(() => requireFit(over, "try less"), CapacityError, `needs ${over.totalBytes} bytes`);
  assertEquals([error.requested, error.unit], [over.totalBytes, "bytes"]);
  const bound = planMemory(LLAMA_2_7B, { ...input, maxTensorBytes: 2 ** 27 });
  assertThrows(() => requireFit(bound, "try less"), CapacityError, "this device binds 134217728 bytes: 16384 tokens");
});

Deno.test("a model with a full session takes what its plan says, within 1%", async () => {
  const folder = new URL("../testdata/pg-nano-yarn-2k", import.meta.url).pathname;
  using model = await loadModel(folder, { contextLength: 2048 });
  using session = model.createSession();
  session.append(Array(2047).fill(5));
  await session.generate({ maxTokens: 1 }).result;
  const { allocatedBytes, kvBytes } = model.memory;
  assertEquals(kvBytes, model.plan.kvBytes);
  const share = allocatedBytes / model.plan.totalBytes;
  assert(Math.abs(share - 1) < 0.01, `Expected the plan's bytes, got ${share} of them`);
});

Deno.test("loadModel() refuses a model over its memory limit before it allocates anything", async () => {
  const folder = new URL("../testdata/pg-nano-yarn-2k", import.meta.url).pathname;
  const error = await loadModel(folder, { memoryLimit: 1e6 }).then(() => undefined, (error) => error);
  assert(error instanceof CapacityError, `Expected a CapacityError, got ${error}`);
  assert(error.message.includes("the limit is 1000000"), error.message);
});

Deno.test("planMemory() of Mistral-7B at 32,768 tokens keeps its window and a chunk of every layer", () => {
  const mistral = { ...LLAMA_2_7B, intermediateSize: 14336, nKvHeads: 8, slidingWindow: 4096 };
  const layers = Array.from({ length: 32 }, (_, layer) => layer);
  const bytesOf = (slidingLayers: readonly number[]) =>
    planMemory({ ...mistral, slidingLayers }, { ...input, contextLength: 32768 }).kvBytes;
  const rowBytes = 2 * 8 * 128 * 2;
  assertEquals(bytesOf([]), 32 * 32768 * rowBytes);
  assertEquals(bytesOf(layers), 32 * (4096 + 512) * rowBytes);
  assertEquals(bytesOf(layers.slice(16)), 16 * (32768 + 4608) * rowBytes);
  // One tensor of keys need not hold the context either.
  const bound = { ...input, contextLength: 40960, maxTensorBytes: 2 ** 26, memoryLimit: 80e9 };
  assertEquals(planMemory({ ...mistral, slidingLayers: [] }, bound).fits, false);
  assertEquals(planMemory({ ...mistral, slidingLayers: layers }, bound).fits, true);
});
