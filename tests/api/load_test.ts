import { assert, assertEquals } from "@std/assert";
import { inspectModel, loadModel, type Model } from "../../mod.ts";
import { SOURCE_BLOCKS, type SourceDtype } from "../../src/kernels/store_rows.ts";

/** What transformers says of a tiny checkpoint, in float32. */
interface Expected {
  tokens: number[];
  logprobs: number[];
  prompt: number[];
  greedy: number[];
  /** The largest difference of a logprob when transformers run in float16. */
  float16: number;
  text: string;
  prompt_text: string;
}

const root = new URL("../testdata/tiny/", import.meta.url);
const names = [...Deno.readDirSync(root)].filter((entry) => entry.isDirectory).map((entry) => entry.name).sort();

async function expected(path: string): Promise<Expected> {
  return JSON.parse(await Deno.readTextFile(new URL(path, root)));
}

function worst(actual: ArrayLike<number>, reference: readonly number[]): number {
  return reference.reduce((most, value, i) => Math.max(most, Math.abs(value - actual[i]!)), 0);
}

async function assertFollows(model: Model, reference: Expected, tolerance: number): Promise<void> {
  const { logprobs } = await model.score(reference.tokens);
  assertEquals(logprobs.length, reference.logprobs.length);
  const error = worst(logprobs, reference.logprobs);
  assert(error <= tolerance, `A logprob is off by ${error}, allowed is ${tolerance}`);
}

for (const name of names) {
  if (name === "storage_forms" || name === "gguf_blocks") continue;
  Deno.test(`a model gives transformers' logprobs and greedy tokens: ${name}`, async () => {
    const reference = await expected(`${name}/expected.json`);
    const options = { weights: "f32", kvCache: "f32", contextLength: 256 } as const;
    using model = await loadModel(new URL(name, root).pathname, options);
    await assertFollows(model, reference, 1e-3);
    assertEquals(Array.from(model.tokenizer.encode(reference.text, { addSpecialTokens: true })), reference.tokens);
    const { tokens } = await model.generate(reference.prompt, { maxTokens: reference.greedy.length }).result;
    assertEquals([...tokens], reference.greedy);
  });
}

for (
  const name of ["head_dim_64", "yarn_rope_scaling", "mistral_window", "qwen3_yarn", "phi3_longrope", "smollm3_nope"]
) {
  Deno.test(`a model in f16 is no further off than transformers in float16: ${name}`, async () => {
    const reference = await expected(`${name}/expected.json`);
    const options = { weights: "f16", kvCache: "f16", contextLength: 256 } as const;
    using model = await loadModel(new URL(name, root).pathname, options);
    await assertFollows(model, reference, reference.float16);
  });
}

for (const name of ["mqa_bias", "yarn_rope_scaling", "llama3_rope", "qwen2_yarn", "qwen3_yarn", "mistral_window"]) {
  Deno.test(`a GGUF file gives transformers' logprobs of the checkpoint it was made from: ${name}`, async () => {
    const file = new URL(`${name}/f16.gguf`, root).pathname;
    using model = await loadModel(file, { weights: "f32", kvCache: "f32", contextLength: 256 });
    await assertFollows(model, await expected(`${name}/expected.json`), 1e-3);
  });
}

for (const weights of ["auto", "f32"] as const) {
  Deno.test(`a GGUF file of unlike blocks gives transformers' logprobs of the same numbers: weights ${weights}`, async () => {
    const options = { weights, kvCache: "f32", contextLength: 256 } as const;
    using model = await loadModel(new URL("gguf_blocks/model.gguf", root).pathname, options);
    const reference = await expected("gguf_blocks/expected.json");
    await assertFollows(model, reference, 1e-3);
    const { tokens } = await model.generate(reference.prompt, { maxTokens: reference.greedy.length }).result;
    assertEquals([...tokens], reference.greedy);
  });
}

Deno.test("a GGUF file's blocks take at most 5% more memory than in the file", async () => {
  const { plan, tensors } = await inspectModel(new URL("gguf_blocks/model.gguf", root).pathname);
  const bytes = tensors.reduce((sum, { dtype, shape }) => {
    const block = SOURCE_BLOCKS[dtype as SourceDtype];
    return sum + shape.reduce((product, extent) => product * extent, block.bytes / block.weights);
  }, 0);
  const { weightsBytes } = plan.find(({ weights }) => weights === "auto")!;
  assert(weightsBytes < 1.05 * bytes, `${weightsBytes} bytes of weights, ${bytes} in the file`);
});

Deno.test("a split GGUF file gives transformers' logprobs of the checkpoint it was made from", async () => {
  const file = new URL("yarn_rope_scaling/split/model-00002-of-00003.gguf", root).pathname;
  using model = await loadModel(file, { weights: "f32", kvCache: "f32", contextLength: 256 });
  await assertFollows(model, await expected("yarn_rope_scaling/expected.json"), 1e-3);
});
