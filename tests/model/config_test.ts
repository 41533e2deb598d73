import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { FormatError } from "../../src/errors.ts";
import { parseConfig } from "../../src/model/config.ts";

const llama = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  hidden_act: "silu",
  hidden_size: 576,
  intermediate_size: 1536,
  num_hidden_layers: 30,
  num_attention_heads: 9,
  num_key_value_heads: 3,
  max_position_embeddings: 8192,
  rms_norm_eps: 1e-5,
  rope_theta: 100000,
  vocab_size: 49152,
  bos_token_id: 1,
  eos_token_id: 2,
};

function without(name: keyof typeof llama): Record<string, unknown> {
  const { [name]: _, ...rest } = llama;
  return rest;
}

Deno.test("parseConfig() reads the shape of a Llama", () => {
  assertEquals(parseConfig({ ...llama, tie_word_embeddings: true, torch_dtype: "bfloat16" }), {
    architecture: "LlamaForCausalLM",
    vocabSize: 49152,
    hiddenSize: 576,
    intermediateSize: 1536,
    nLayers: 30,
    nHeads: 9,
    nKvHeads: 3,
    headDim: 64,
    rotaryDim: 64,
    rmsNormEps: 1e-5,
    ropeTheta: 100000,
    ropeScaling: { type: "none" },
    ropeSource: "none",
    maxPositionEmbeddings: 8192,
    tieWordEmbeddings: true,
    attentionBias: false,
    outputBias: false,
    mlpBias: false,
    headNormEps: undefined,
    fusedProjections: false,
    slidingWindow: undefined,
    slidingLayers: [],
    noRopeLayers: [],
    bosId: 1,
    eosIds: [2],
    stopIds: [2],
    dtype: "BF16",
  });
});

Deno.test("parseConfig() has transformers' defaults for what is absent or null", () => {
  const config = parseConfig({ ...without("num_key_value_heads"), rms_norm_eps: null, bos_token_id: null });
  assertEquals(config.nKvHeads, 9);
  assertEquals(config.rmsNormEps, 1e-6);
  assertEquals(config.bosId, undefined);
  assertEquals(config.tieWordEmbeddings, false);
  assertEquals(config.dtype, "F32");
});

Deno.test("parseConfig() takes head_dim where the config has one", () => {
  assertEquals(parseConfig({ ...llama, head_dim: 128 }).headDim, 128);
});

Deno.test("parseConfig() takes the architecture from the model type where none is named", () => {
  assertEquals(parseConfig(without("architectures")).architecture, "LlamaForCausalLM");
});

Deno.test("parseConfig() reads the config of the model that Skein was made for", async () => {
  const url = new URL("../testdata/yarn-llama-2-7b-64k/config.json", import.meta.url);
  const config = parseConfig(JSON.parse(await Deno.readTextFile(url)));
  assertEquals(config.headDim, 128);
  assertEquals(config.maxPositionEmbeddings, 65536);
  assertEquals(config.ropeSource, "rope_scaling");
  assertEquals(config.ropeScaling.type === "yarn" && config.ropeScaling.factor, 16);
});

Deno.test("parseConfig() joins the stop ids of both configs", () => {
  assertEquals(parseConfig({ ...llama, eos_token_id: [2, 7] }).stopIds, [2, 7]);
  assertEquals(parseConfig(llama, "config.json", { eos_token_id: [2, 0] }).stopIds, [2, 0]);
  assertThrows(
    () => parseConfig(llama, "config.json", { eos_token_id: 49152 }),
    FormatError,
    "generation_config.json: eos_token_id is 49152, expected token ids below the vocabulary's size 49152",
  );
});

const refused: readonly (readonly [Record<string, unknown>, string])[] = [
  [
    { architectures: ["GemmaForCausalLM"] },
    `architectures is ["GemmaForCausalLM"], Skein runs LlamaForCausalLM, Mistral`,
  ],
  [{ architectures: ["constructor"] }, "architectures is"],
  [{ hidden_act: "gelu" }, `hidden_act is "gelu", Skein computes "silu"`],
  [{ hidden_size: -4 }, "hidden_size is -4, expected a whole number from 1"],
  [{ hidden_size: 1e9 }, "hidden_size is 1000000000, expected a whole number from 1 to 131072"],
  [{ hidden_size: "576" }, `hidden_size is "576"`],
  [{ hidden_size: null }, "hidden_size is missing"],
  [
    { num_attention_heads: 7, num_key_value_heads: 7 },
    "num_attention_heads is 7, expected a divisor of hidden_size 576, or a head_dim",
  ],
  [{ num_attention_heads: 288, num_key_value_heads: 1 }, "num_attention_heads is 288, which makes heads of 2"],
  [{ num_key_value_heads: 2 }, "num_key_value_heads is 2, expected a divisor of the 9 query heads"],
  [{ num_key_value_heads: 0 }, "num_key_value_heads is 0"],
  [{ num_hidden_layers: 1.5 }, "num_hidden_layers is 1.5"],
  [{ head_dim: 62 }, "head_dim is 62, which makes heads of 62: expected a multiple of 4"],
  [{ head_dim: 0 }, "head_dim is 0"],
  [{ vocab_size: 0 }, "vocab_size is 0"],
  [{ rms_norm_eps: 0 }, "rms_norm_eps is 0, expected a number over 0"],
  [{ rms_norm_eps: -1 }, "rms_norm_eps is -1"],
  [{ max_position_embeddings: 0 }, "max_position_embeddings is 0"],
  [{ tie_word_embeddings: "no" }, `tie_word_embeddings is "no", expected true or false`],
  [{ eos_token_id: [2, "x"] }, `eos_token_id is [2,"x"]`],
  [{ bos_token_id: -1 }, "bos_token_id is -1"],
  [{ attention_multiplier: 0.5 }, "attention_multiplier is 0.5, which Skein does not compute"],
  [{ logit_scale: 0.25 }, "logit_scale is 0.25"],
  [{ sliding_window: 4096 }, "sliding_window is 4096"],
  [{ quantization_config: { bits: 4 } }, `quantization_config is {"bits":4}`],
  [{ partial_rotary_factor: 0.5 }, "partial_rotary_factor"],
  [{ rope_scaling: { type: "mrope", factor: 2 } }, `rope_scaling has RoPE type "mrope"`],
  [{ num_experts: 8 }, "num_experts is 8, and Skein does not know this field"],
];

for (const [fields, message] of refused) {
  Deno.test(`parseConfig() refuses ${JSON.stringify(fields)}`, () => {
    const error = assertThrows(() => parseConfig({ ...llama, ...fields }), FormatError, message);
    assertEquals(error.file, "config.json");
    assertStringIncludes(error.message, "config.json");
  });
}

/** The same shape as another architecture. */
function relative(name: string, fields: Record<string, unknown> = {}) {
  return parseConfig({ ...llama, architectures: [`${name}ForCausalLM`], num_hidden_layers: 6, ...fields });
}

Deno.test("parseConfig() reads Mistral's window, which has a default that null takes away", () => {
  const { slidingWindow, slidingLayers } = relative("Mistral", { sliding_window: 128 });
  assertEquals([slidingWindow, slidingLayers], [128, [0, 1, 2, 3, 4, 5]]);
  assertEquals(relative("Mistral").slidingWindow, 4096);
  const none = relative("Mistral", { sliding_window: null });
  assertEquals([none.slidingWindow, none.slidingLayers], [undefined, []]);
});

Deno.test("parseConfig() reads the length of Yarn-Mistral from max_sequence_length", () => {
  const fields = {
    auto_map: { AutoModelForCausalLM: "modeling_mistral_yarn.MistralForCausalLM" },
    max_position_embeddings: 32768,
    max_sequence_length: 131072,
    rope_scaling: { type: "yarn", factor: 16, original_max_position_embeddings: 8192, finetuned: true },
  };
  assertEquals(relative("Mistral", fields).maxPositionEmbeddings, 131072);
  assertEquals(relative("Mistral", { ...fields, auto_map: null }).maxPositionEmbeddings, 32768);
});

Deno.test("parseConfig() reads Qwen's biases, norms and window", () => {
  const { attentionBias, outputBias, mlpBias, slidingWindow } = relative("Qwen2", { sliding_window: 64 });
  assertEquals([attentionBias, outputBias, mlpBias, slidingWindow], [true, false, false, undefined]);
  const on = { use_sliding_window: true, sliding_window: 64, max_window_layers: 4 };
  assertEquals(relative("Qwen2", on).slidingLayers, [4, 5]);
  const types = ["sliding_attention", ...Array(5).fill("full_attention")];
  assertEquals(relative("Qwen2", { ...on, layer_types: types }).slidingLayers, [0]);
  assertEquals(relative("Qwen3").headNormEps, 1e-5);
  assertEquals(relative("Qwen3").headDim, 128);
  assertThrows(() => relative("Qwen3", { ...on, layer_types: ["x"] }), FormatError, "expected 6 of full_attention");
});

Deno.test("parseConfig() reads which layers of SmolLM3 rotate nothing", () => {
  assertEquals(relative("SmolLM3").noRopeLayers, [3]);
  assertEquals(relative("SmolLM3", { no_rope_layers: [0, 1, 1, 1, 1, 0] }).noRopeLayers, [0, 5]);
  assertEquals(relative("SmolLM3").tieWordEmbeddings, true);
  assertThrows(() => relative("SmolLM3", { no_rope_layers: [1] }), FormatError, "at least 6 numbers, each 0 or 1");
});

Deno.test("parseConfig() reads Phi-3's fused projections and rotated part", () => {
  const config = relative("Phi3", { partial_rotary_factor: 0.75 });
  assertEquals([config.fusedProjections, config.headDim, config.rotaryDim], [true, 64, 48]);
  assertThrows(() => relative("Phi3", { intermediate_size: 6 }), FormatError, "intermediate_size is 6");
});

Deno.test("parseConfig() refuses a field of another architecture", () => {
  assertThrows(() => relative("Llama", { no_rope_layers: [1] }), FormatError, "no_rope_layers is [1]");
});

Deno.test("parseConfig() refuses a config without an architecture", () => {
  const { architectures: _, model_type: __, ...rest } = llama;
  assertThrows(() => parseConfig(rest), FormatError, "model_type is missing, Skein runs LlamaForCausalLM");
});

Deno.test("parseConfig() takes fields that say nothing about inference, and relatives' fields that are off", () => {
  parseConfig({
    ...{ ...llama, pretraining_tp: 1, use_cache: true, _name_or_path: "x", transformers_version: "4.31.0" },
    ...{ sliding_window: null, quantization_config: null, residual_multiplier: 1, rope_interleaved: false },
  });
});

Deno.test("parseConfig() gives a config or a FormatError, whatever a field holds", () => {
  fc.assert(
    fc.property(fc.constantFrom(...Object.keys(llama), "rope_scaling", "head_dim"), fc.jsonValue(), (name, value) => {
      try {
        const { headDim, nHeads, nKvHeads } = parseConfig({ ...llama, [name]: value });
        assertEquals([headDim % 4, nHeads % nKvHeads], [0, 0]);
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
      }
    }),
    { numRuns: 1000 },
  );
});
