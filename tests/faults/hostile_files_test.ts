import { assert, assertEquals, assertRejects } from "@std/assert";
import { blobSource, FormatError, inspectModel, loadModel } from "../../mod.ts";
import { Tokenizer } from "../../wasm/mod.ts";
import { CONFIG, safetensors, sourceOf, tensorsOf } from "../checkpoint/tiny_checkpoint.ts";

/** Longest that a hostile file may keep its reader busy, in ms: far more than one takes on a machine that is at work. */
const MOST_MS = 10_000;

/** The error of what has to fail soon. */
async function refused(work: () => Promise<unknown>): Promise<FormatError> {
  const began = performance.now();
  const error = await assertRejects(work, FormatError);
  assert(performance.now() - began < MOST_MS, `${error.message} after ${performance.now() - began} ms`);
  assert(error.message.length < 600, error.message);
  return error;
}

const many = Array.from({ length: 200_000 }, (_, i) => i);

for (
  const [field, value] of [
    ["num_hidden_layers", 1e9],
    ["hidden_size", 2 ** 30],
    ["head_dim", 2 ** 30],
    ["vocab_size", 2 ** 40],
    ["intermediate_size", 2 ** 33],
    ["num_attention_heads", 2 ** 30],
    ["num_key_value_heads", 2 ** 30],
    ["max_position_embeddings", 2 ** 50],
    ["eos_token_id", many],
    ["layer_types", many],
    ["rope_scaling", { type: "longrope", factor: 4, short_factor: many, long_factor: many }],
    ["rope_theta", 1e308],
  ] as [string, unknown][]
) {
  Deno.test(`a config cannot ask for what no model has: ${field}`, async () => {
    const source = sourceOf(tensorsOf("F32"), { ...CONFIG, [field]: value });
    for (const read of [inspectModel, loadModel]) await refused(() => read(source));
  });
}

Deno.test("a config cannot exhaust the stack, nor be longer than its cap", async () => {
  const deep = "[".repeat(200_000) + "]".repeat(200_000);
  const rest = JSON.stringify(CONFIG).slice(1);
  for (
    const text of [
      `{"hidden_size":${deep},${rest.replace('"hidden_size":64,', "")}`,
      `{"rope_scaling":{"type":"yarn","factor":${deep}},${rest}`,
      `{"rope_scaling":${deep},${rest}`,
      '{"a":'.repeat(200_000) + "1" + "}".repeat(200_000),
    ]
  ) {
    const files = new Map([["config.json", new Blob([text])], ["model.safetensors", safetensors(tensorsOf("F32"))]]);
    await refused(() => inspectModel(blobSource(files)));
  }
  const long = new Blob([`{"name":"${"x".repeat(2 ** 24)}",${rest}`]);
  const error = await refused(() => inspectModel(blobSource(new Map([["config.json", long]]))));
  assertEquals(error.code, "TooLarge");
});

Deno.test("a tokenizer's regular expression cannot hang", async () => {
  const path = new URL("../testdata/tiny/head_dim_64/tokenizer.json", import.meta.url);
  const tokenizer = JSON.parse(await Deno.readTextFile(path));
  for (
    const [pattern, expected] of [
      ["(?:(?=a)a|a)+(?<=b)c", "RegexLimit"],
      ["(?:(?=a)a|a){12}b|a", "RegexLimit"],
      ["(x+x+)+(?=y)", "none"],
    ]
  ) {
    const split = { type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false };
    tokenizer.pre_tokenizer = split;
    const began = performance.now();
    let code = "none";
    try {
      using core = Tokenizer.fromJson(new TextEncoder().encode(JSON.stringify(tokenizer)));
      core.encode("a".repeat(50_000) + "x".repeat(50_000), false);
    } catch (error) {
      code = (error as { code?: string }).code ?? String(error);
    }
    assertEquals(code, expected, pattern);
    assert(performance.now() - began < MOST_MS, `${pattern} took ${performance.now() - began} ms`);
  }
});
