import { assert, assertEquals, assertRejects } from "@std/assert";
import { openCheckpoint, type TensorEntry } from "../../src/checkpoint/checkpoint.ts";
import { blobSource } from "../../src/checkpoint/source.ts";
import { FormatError } from "../../src/errors.ts";
import { parseConfig } from "../../src/model/config.ts";
import { formatOf, formatRuns, planWeights, type WeightChoice } from "../../src/model/weight_plan.ts";
import { CONFIG, sourceOf, type TensorData, tensorsOf } from "../checkpoint/tiny_checkpoint.ts";

/** Bytes planned for a checkpoint of these tensors and this config. */
async function plan(
  tensors: Map<string, TensorData> | undefined,
  config: Record<string, unknown> = CONFIG,
  choice: WeightChoice = "auto",
): Promise<number> {
  return planWeights(parseConfig(config), await openCheckpoint(sourceOf(tensors, config)), choice);
}

async function assertRefused(
  tensors: Map<string, TensorData>,
  message: string,
  config?: Record<string, unknown>,
): Promise<FormatError> {
  return await assertRejects(() => plan(tensors, config), FormatError, message);
}

Deno.test("planWeights() names a tensor that is missing", async () => {
  const tensors = tensorsOf("F32");
  tensors.delete("model.layers.0.mlp.up_proj.weight");
  const message = "tensor model.layers.0.mlp.up_proj.weight is missing, expected with shape [96, 64]";
  assertEquals((await assertRefused(tensors, message)).code, "MissingTensor");
  await assertRefused(tensorsOf("F32"), "tensor model.layers.1.", { ...CONFIG, num_hidden_layers: 2 });
  await assertRefused(tensorsOf("F32"), "q_proj.bias is missing", { ...CONFIG, attention_bias: true });
});

Deno.test("planWeights() names a tensor whose shape disagrees with the config", async () => {
  await assertRefused(
    tensorsOf("F32"),
    "Cannot load tensor model.embed_tokens.weight of model.safetensors: shape is [40, 64], expected [41, 64]",
    { ...CONFIG, vocab_size: 41 },
  );
  const tensors = tensorsOf("F32");
  const norm = tensors.get("model.norm.weight")!;
  tensors.set("model.norm.weight", { ...norm, shape: [1, 64] });
  await assertRefused(tensors, "shape is [1, 64], expected [64]");
});

Deno.test("planWeights() refuses a type that it cannot read, and tensors that the model does not have", async () => {
  const tensors = tensorsOf("F32");
  const { shape } = tensors.get("lm_head.weight")!;
  tensors.set("lm_head.weight", { dtype: "I32", shape, data: new Uint8Array(40 * 64 * 4) });
  await assertRefused(
    tensors,
    "tensor lm_head.weight of model.safetensors: dtype is I32, expected one of F32, F16, BF16",
  );
  const more = tensorsOf("F32");
  more.set("model.layers.0.self_attn.q_norm.weight", { dtype: "F32", shape: [16], data: new Uint8Array(64) });
  assertEquals(
    (await assertRefused(more, "it has the tensor model.layers.0.self_attn.q_norm.weight")).code,
    "UnexpectedTensor",
  );
});

Deno.test("planWeights() ignores tables that follow from the config", async () => {
  const tensors = tensorsOf("F32");
  const name = "model.layers.0.self_attn.rotary_emb.inv_freq";
  tensors.set(name, { dtype: "F32", shape: [8], data: new Uint8Array(32) });
  assertEquals(await plan(tensors), await plan(tensorsOf("F32")));
});

Deno.test("planWeights() needs no tensors", async () => {
  const config = (torch_dtype: string) => ({ ...CONFIG, torch_dtype });
  assertEquals(await plan(undefined, config("bfloat16")), await plan(tensorsOf("BF16")));
  assertEquals(await plan(undefined, config("bfloat16"), "q4"), await plan(tensorsOf("BF16"), CONFIG, "q4"));
  assert(await plan(undefined, config("float32")) > await plan(undefined, config("float16")));
});

Deno.test("formatOf() keeps a file's precision, and no more bits than were asked for", () => {
  assertEquals(formatOf("BF16", "auto", "inner"), "bf16");
  assertEquals(formatOf("Q4_1", "auto", "inner"), "q4m");
  assertEquals(formatOf("BF16", "f16", "inner"), "bf16");
  assertEquals(formatOf("Q8_0", "f16", "inner"), "f16");
  assertEquals(formatOf("F32", "q4", "inner"), "q4");
  assertEquals(formatOf("F32", "q4", "vocabulary"), "q8");
  assertEquals(formatOf("Q4_1", "q4", "vocabulary"), "q4m");
  assertEquals(formatOf("Q4_0", "q8", "inner"), "q4");
  assertEquals(formatOf("Q4_1", "f32", "inner"), "f32");
});

Deno.test("formatRuns() keeps each tensor of a matrix in its own format", () => {
  const runs = (dtypes: readonly string[], choice: WeightChoice) => {
    const tensors = dtypes.map((dtype, i): [string, TensorEntry] => [
      String(i),
      { dtype, shape: [6, 32], file: "x", begin: 0, end: 0 },
    ]);
    const slot = {
      label: "qkv",
      rows: 8 * dtypes.length,
      columns: 32,
      tensors: dtypes.map((_, i) => ({ name: String(i), rows: 6, rowOffset: 8 * i, halfDim: 0 })),
      role: "inner",
    } as const;
    const source = blobSource(new Map());
    return formatRuns(slot, { tensors: new Map(tensors), source }, choice).map(({ format, rows }) =>
      `${rows} ${format}`
    );
  };
  assertEquals(runs(["Q4_0", "Q4_0", "Q8_0"], "auto"), ["16 q4", "8 q8"]);
  assertEquals(runs(["F16", "BF16", "F16"], "auto"), ["8 f16", "8 bf16", "8 f16"]);
  assertEquals(runs(["Q4_1", "Q8_0"], "f32"), ["16 f32"]);
  assertEquals(runs(["F16", "Q4_1"], "q4"), ["8 q4", "8 q4m"]);
});
