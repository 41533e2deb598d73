import { assert, assertEquals, assertThrows } from "@std/assert";
import { FormatError } from "../../src/errors.ts";
import { parseConfig, parseGgufConfig } from "../../src/model/config.ts";

const metadata = {
  "general.architecture": "llama",
  "llama.block_count": 30,
  "llama.context_length": 8192,
  "llama.embedding_length": 576,
  "llama.feed_forward_length": 1536,
  "llama.attention.head_count": 9,
  "llama.attention.head_count_kv": 3,
  "llama.rope.freq_base": 100000,
  "llama.attention.layer_norm_rms_epsilon": 1e-5,
  "llama.rope.dimension_count": 64,
  "llama.vocab_size": 49152,
  "tokenizer.ggml.bos_token_id": 1,
  "tokenizer.ggml.eos_token_id": 2,
};

/** The config of the metadata with some keys changed, in a file with some more tensors. */
const read = (more: Record<string, unknown> = {}, names: readonly string[] = []) =>
  parseGgufConfig(
    { ...metadata, ...more },
    new Map(["token_embd.weight", ...names].map((name) => [name, { shape: [49152, 576] }])),
    "model.gguf",
  );

Deno.test("parseGgufConfig() reads the same as parseConfig()", () => {
  const same = parseConfig({
    ...{ architectures: ["LlamaForCausalLM"], hidden_size: 576, intermediate_size: 1536, num_hidden_layers: 30 },
    ...{ num_attention_heads: 9, num_key_value_heads: 3, max_position_embeddings: 8192, rms_norm_eps: 1e-5 },
    ...{ rope_theta: 100000, vocab_size: 49152, bos_token_id: 1, eos_token_id: 2, tie_word_embeddings: true },
  });
  assertEquals(read(), same);
});

Deno.test("parseGgufConfig() learns from the tensors what the metadata does not say", () => {
  assertEquals(read().tieWordEmbeddings, true);
  assertEquals(read({}, ["output.weight"]).tieWordEmbeddings, false);
  const biased = read({}, ["blk.0.attn_q.bias", "blk.0.ffn_gate.bias"]);
  assertEquals([biased.attentionBias, biased.mlpBias], [true, true]);
  assertEquals(read({ "llama.vocab_size": 32000 }).vocabSize, 49152);
});

Deno.test("parseGgufConfig() stops at the end of a turn too", () => {
  assertEquals(read({ "tokenizer.ggml.eot_token_id": 7 }).stopIds, [2, 7]);
  assertThrows(
    () => read({ "tokenizer.ggml.eot_token_id": 1e6 }),
    FormatError,
    "tokenizer.ggml.eot_token_id is [1000000]",
  );
});

Deno.test("parseGgufConfig() reads linear scaling and YaRN", () => {
  assertEquals(read({ "llama.rope.scaling.type": "none" }).ropeScaling, { type: "none" });
  const linear = { type: "linear", factor: 4 } as const;
  assertEquals(read({ "llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4 }).ropeScaling, linear);
  assertEquals(read({ "llama.rope.scale_linear": 4 }).ropeScaling, linear);
  const yarn = {
    "llama.rope.scaling.type": "yarn",
    "llama.rope.scaling.factor": 8,
    "llama.rope.scaling.original_context_length": 1024,
    "llama.rope.scaling.finetuned": true,
  };
  const scaling = read(yarn).ropeScaling;
  assert(scaling.type === "yarn");
  assertEquals([scaling.factor, scaling.originalMaxPositionEmbeddings, scaling.betaFast, scaling.betaSlow], [
    8,
    1024,
    32,
    1,
  ]);
  assertEquals(scaling.attentionFactor, undefined);
  const tuned = read({ ...yarn, "llama.rope.scaling.yarn_beta_fast": 16, "llama.rope.scaling.attn_factor": 0.5 });
  assert(tuned.ropeScaling.type === "yarn");
  assertEquals(tuned.ropeScaling.betaFast, 16);
  assertEquals(tuned.ropeScaling.attentionFactor, 0.5 * (0.1 * Math.log(8) + 1));
});

const refused: readonly (readonly [Record<string, unknown>, string])[] = [
  [{ "general.architecture": "gemma" }, `general.architecture is "gemma", Skein runs llama, qwen2, qwen3`],
  [{ "general.architecture": undefined }, "general.architecture is missing"],
  [{ "llama.block_count": 0 }, "llama.block_count is 0, expected a whole number from 1"],
  [{ "llama.embedding_length": undefined }, "llama.embedding_length is missing"],
  [
    { "llama.attention.head_count_kv": 4 },
    "llama.attention.head_count_kv is 4, expected a divisor of the 9 query heads",
  ],
  [{ "llama.attention.head_count": [9, 9] }, "llama.attention.head_count is [9,9]"],
  [{ "llama.rope.dimension_count": 32 }, "llama.rope.dimension_count is 32, expected 64, the whole head"],
  [{ "llama.attention.value_length": 32 }, "llama.attention.value_length is 32"],
  [{ "llama.expert_count": 8 }, "llama.expert_count is 8, and Skein does not know this key"],
  [{ "llama.rope.scaling.type": "longrope" }, `llama.rope.scaling.type is "longrope"`],
  [{ "llama.rope.scaling.type": "yarn" }, "llama.rope.scaling.factor is missing"],
  [{ "llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": -1 }, "llama.rope.scaling.factor is -1"],
];

for (const [keys, message] of refused) {
  Deno.test(`parseGgufConfig() refuses ${JSON.stringify(keys)}`, () => {
    const error = assertThrows(() => read(keys), FormatError, message);
    assertEquals(error.file, "model.gguf");
  });
}

Deno.test("parseGgufConfig() takes the numbers of rope_freqs.weight for divisors, one for each pair", () => {
  const factors = Array.from({ length: 32 }, (_, j) => 1 + j);
  const { ropeScaling, ropeSource } = read({ "rope_freqs.weight": factors }, ["rope_freqs.weight"]);
  assertEquals([ropeScaling, ropeSource], [{ type: "factors", factors }, "rope_freqs.weight"]);
  for (
    const [more, message] of [
      [{ "rope_freqs.weight": factors.slice(1) }, "factors has 31 numbers, expected 32"],
      [{ "rope_freqs.weight": factors.with(3, 0) }, "expected a list of numbers over 0"],
      [
        { "rope_freqs.weight": factors, "llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 2 },
        'llama.rope.scaling.type is "linear", expected none in a file with the tensor rope_freqs.weight',
      ],
    ] as const
  ) {
    assertThrows(() => read(more, ["rope_freqs.weight"]), FormatError, message);
  }
});

Deno.test("parseGgufConfig() reads Qwen2, Qwen3, and a llama with a window, which is a Mistral", () => {
  const qwen = (name: string, more: Record<string, unknown> = {}) => {
    const renamed = Object.entries({ ...metadata, ...more }).map((
      [key, value],
    ) => [key.replace("llama.", name), value]);
    return parseGgufConfig(
      { ...Object.fromEntries(renamed), "general.architecture": name.slice(0, -1) },
      new Map([["token_embd.weight", { shape: [49152, 576] }], ["blk.0.attn_q.bias", { shape: [576] }]]),
      "model.gguf",
    );
  };
  const second = qwen("qwen2.");
  assertEquals([second.architecture, second.attentionBias, second.outputBias], ["Qwen2ForCausalLM", true, false]);
  const third = qwen("qwen3.", { "llama.attention.key_length": 64 });
  assertEquals([third.architecture, third.headNormEps, third.headDim], ["Qwen3ForCausalLM", 1e-5, 64]);
  assertThrows(
    () => qwen("qwen2.", { "llama.attention.sliding_window": 4096 }),
    FormatError,
    "qwen2.attention.sliding_window is 4096, which Skein reads of a llama only",
  );
  const mistral = read({ "llama.attention.sliding_window": 4096 });
  assertEquals([mistral.architecture, mistral.slidingWindow, mistral.slidingLayers.length], [
    "MistralForCausalLM",
    4096,
    30,
  ]);
  assertEquals(read({ "llama.attention.sliding_window": 0 }).slidingWindow, undefined);
});
