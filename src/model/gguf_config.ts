/**
 * Translates the metadata of a GGUF file of architecture "llama" into the fields of a config.json, so that one reader
 * checks both. Keys: ggml's gguf.md and llama.cpp's llama-arch.cpp.
 *
 * @module
 */
import { FormatError } from "../errors.ts";

/** Tensor shapes by name, outermost extent first. */
export type GgufTensors = ReadonlyMap<string, { readonly shape: readonly number[] }>;

/** How a GGUF file spells the fields. */
export const GGUF_SPELLING: Readonly<Record<string, string>> = {
  architectures: "general.architecture",
  vocab_size: "llama.vocab_size",
  hidden_size: "llama.embedding_length",
  intermediate_size: "llama.feed_forward_length",
  num_hidden_layers: "llama.block_count",
  num_attention_heads: "llama.attention.head_count",
  num_key_value_heads: "llama.attention.head_count_kv",
  head_dim: "llama.attention.key_length",
  rms_norm_eps: "llama.attention.layer_norm_rms_epsilon",
  max_position_embeddings: "llama.context_length",
  rope_theta: "llama.rope.freq_base",
  bos_token_id: "tokenizer.ggml.bos_token_id",
  eos_token_id: "tokenizer.ggml.eos_token_id",
};

/** Keys of `llama.` that are read here or say nothing about inference. */
const READ: ReadonlySet<string> = new Set([
  ...Object.values(GGUF_SPELLING),
  ...["attention.value_length", "attention.causal", "rope.dimension_count", "rope.scale_linear", "tensor_data_layout"]
    .map((key) => `llama.${key}`),
  ...["type", "factor", "original_context_length", "finetuned", "attn_factor", "yarn_attn_factor", "yarn_beta_fast"]
    .map((key) => `llama.rope.scaling.${key}`),
  ...["yarn_beta_slow", "yarn_log_multiplier"].map((key) => `llama.rope.scaling.${key}`),
]);

/**
 * Fields of a config.json that say the same as the metadata.
 *
 * @param metadata Keys and values of the file.
 * @param tensors Its tensors.
 * @param file Its name, for errors.
 * @returns The fields, and further ids that end a generation.
 * @throws {FormatError} If the architecture is another one, or a key asks for something that Skein does not compute.
 */
export function ggufFields(
  metadata: Readonly<Record<string, unknown>>,
  tensors: GgufTensors,
  file: string,
): { fields: Record<string, unknown>; stopIds: unknown[] } {
  const refuse = (key: string, why: string): never => {
    const value = metadata[key] === undefined ? "missing" : JSON.stringify(metadata[key]).slice(0, 80);
    throw new FormatError(file, `Cannot use ${file}: ${key} is ${value}, ${why}`, { code: "Config" });
  };
  if (metadata["general.architecture"] !== "llama") refuse("general.architecture", `Skein runs "llama"`);
  for (const [key, value] of Object.entries(metadata)) {
    if (key.startsWith("llama.") && !READ.has(key) && value !== 0 && value !== false) {
      refuse(key, "and Skein does not know this key");
    }
  }
  const fields: Record<string, unknown> = {};
  for (const [field, key] of Object.entries(GGUF_SPELLING)) {
    if (metadata[key] !== undefined) fields[field] = metadata[key];
  }
  fields.architectures = ["LlamaForCausalLM"];
  fields.vocab_size = tensors.get("token_embd.weight")?.shape[0] ?? fields.vocab_size;
  fields.tie_word_embeddings = !tensors.has("output.weight");
  fields.attention_bias = tensors.has("blk.0.attn_q.bias");
  fields.mlp_bias = tensors.has("blk.0.ffn_gate.bias");

  const headDim = Number(fields.head_dim ?? Number(fields.hidden_size) / Number(fields.num_attention_heads));
  for (const key of ["llama.attention.value_length", "llama.rope.dimension_count"]) {
    // Where headDim itself is no number, its own check says so.
    if (metadata[key] !== undefined && headDim > 0 && metadata[key] !== headDim) {
      refuse(key, `expected ${headDim}, the whole head`);
    }
  }
  if (metadata["llama.attention.causal"] === false) refuse("llama.attention.causal", "expected true");
  if (tensors.has("rope_freqs.weight")) {
    throw new FormatError(
      file,
      `Cannot use ${file}: it scales rotary frequencies by the tensor rope_freqs.weight, which Skein does not compute; ` +
        "load the model's safetensors",
      { code: "Config" },
    );
  }
  const scaling = ropeScaling(metadata, refuse);
  if (scaling !== undefined) fields.rope_scaling = scaling;
  return {
    fields,
    stopIds: ["tokenizer.ggml.eot_token_id"].flatMap((key) => metadata[key] === undefined ? [] : [metadata[key]]),
  };
}

type Refuse = (key: string, why: string) => never;

function ropeScaling(metadata: Readonly<Record<string, unknown>>, refuse: Refuse): Record<string, unknown> | undefined {
  const positive = (key: string): number | undefined => {
    const value = metadata[key];
    if (value === undefined) return undefined;
    if (typeof value !== "number" || !(value > 0 && value < 1e9)) refuse(key, "expected a number over 0");
    return value as number;
  };
  const prefix = "llama.rope.scaling.";
  const type = metadata[`${prefix}type`];
  const factor = positive(`${prefix}factor`) ?? positive("llama.rope.scale_linear");
  if (type === "none" || (type === undefined && (factor === undefined || factor === 1))) return undefined;
  if (type === undefined || type === "linear") return { type: "linear", factor: factor ?? 1 };
  if (type !== "yarn") refuse(`${prefix}type`, `Skein knows "none", "linear" and "yarn"`);
  if (factor === undefined) refuse(`${prefix}factor`, "expected a number over 0");
  const betaFast = positive(`${prefix}yarn_beta_fast`);
  const betaSlow = positive(`${prefix}yarn_beta_slow`);
  // llama.cpp multiplies YaRN's own factor by this one; config.json's attention_factor replaces it.
  const multiplier = positive(`${prefix}attn_factor`) ?? positive(`${prefix}yarn_attn_factor`) ?? 1;
  const logMultiplier = metadata[`${prefix}yarn_log_multiplier`] ?? 0;
  if (logMultiplier !== 0) refuse(`${prefix}yarn_log_multiplier`, "expected 0");
  const length = positive(`${prefix}original_context_length`);
  return {
    type: "yarn",
    factor,
    ...(length === undefined ? {} : { original_max_position_embeddings: length }),
    ...(betaFast === undefined ? {} : { beta_fast: betaFast }),
    ...(betaSlow === undefined ? {} : { beta_slow: betaSlow }),
    ...(multiplier === 1 ? {} : { attention_factor: multiplier * (0.1 * Math.log(Math.max(1, factor!)) + 1) }),
    finetuned: metadata[`${prefix}finetuned`] === true,
  };
}
