/**
 * Translates the metadata of a GGUF file into the fields of a config.json, so that one reader checks both. Keys: ggml's
 * gguf.md and llama.cpp's llama-arch.cpp.
 *
 * @module
 */
import { ROPE_FACTORS } from "../checkpoint/gguf_rope_factors.ts";
import { FormatError } from "../errors.ts";

/** Tensor shapes by name, outermost extent first. */
export type GgufTensors = ReadonlyMap<string, { readonly shape: readonly number[] }>;

/** What `general.architecture` may be, and the architecture of config.json that stands for it. */
const ARCHITECTURES: ReadonlyMap<unknown, string> = new Map([
  ["llama", "LlamaForCausalLM"],
  ["qwen2", "Qwen2ForCausalLM"],
  ["qwen3", "Qwen3ForCausalLM"],
]);

/** Keys under the architecture's name that stand for fields. */
const FIELDS: Readonly<Record<string, string>> = {
  vocab_size: "vocab_size",
  hidden_size: "embedding_length",
  intermediate_size: "feed_forward_length",
  num_hidden_layers: "block_count",
  num_attention_heads: "attention.head_count",
  num_key_value_heads: "attention.head_count_kv",
  head_dim: "attention.key_length",
  rms_norm_eps: "attention.layer_norm_rms_epsilon",
  max_position_embeddings: "context_length",
  rope_theta: "rope.freq_base",
  sliding_window: "attention.sliding_window",
};

/** Keys under the architecture's name that are read here or say nothing about inference. */
const READ: ReadonlySet<string> = new Set([
  ...Object.values(FIELDS),
  ...["attention.value_length", "attention.causal", "rope.dimension_count", "rope.scale_linear", "tensor_data_layout"],
  ...["type", "factor", "original_context_length", "finetuned", "attn_factor", "yarn_attn_factor", "yarn_beta_fast"]
    .map((key) => `rope.scaling.${key}`),
  ...["yarn_beta_slow", "yarn_log_multiplier"].map((key) => `rope.scaling.${key}`),
]);

/** What a GGUF file's metadata says. */
export interface GgufFields {
  /** The fields of a config.json that say the same. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** How the file spells each of them. */
  readonly spelling: Readonly<Record<string, string>>;
  /** Further ids that end a generation. */
  readonly stopIds: readonly unknown[];
}

/**
 * Fields of a config.json that say the same as the metadata.
 *
 * @param metadata Keys and values of the file, and the numbers of the tensor rope_freqs.weight under its name.
 * @param tensors Its tensors.
 * @param file Its name, for errors.
 * @throws {FormatError} If the architecture is another one, or a key asks for something that Skein does not compute.
 */
export function ggufFields(
  metadata: Readonly<Record<string, unknown>>,
  tensors: GgufTensors,
  file: string,
): GgufFields {
  const refuse = (key: string, why: string): never => {
    const value = metadata[key] === undefined ? "missing" : JSON.stringify(metadata[key]).slice(0, 80);
    throw new FormatError(file, `Cannot use ${file}: ${key} is ${value}, ${why}`, { code: "Config" });
  };
  const architecture = ARCHITECTURES.get(metadata["general.architecture"]) ??
    refuse("general.architecture", `Skein runs ${[...ARCHITECTURES.keys()].join(", ")}`);
  const prefix = `${metadata["general.architecture"]}.`;
  for (const [key, value] of Object.entries(metadata)) {
    if (key.startsWith(prefix) && !READ.has(key.slice(prefix.length)) && value !== 0 && value !== false) {
      refuse(key, "and Skein does not know this key");
    }
  }
  const spelling: Readonly<Record<string, string>> = {
    architectures: "general.architecture",
    ...Object.fromEntries(Object.entries(FIELDS).map(([field, key]) => [field, prefix + key])),
    bos_token_id: "tokenizer.ggml.bos_token_id",
    eos_token_id: "tokenizer.ggml.eos_token_id",
  };
  const fields: Record<string, unknown> = {};
  for (const [field, key] of Object.entries(spelling)) {
    if (metadata[key] !== undefined) fields[field] = metadata[key];
  }
  // llama.cpp calls Mistral a llama; only the window tells.
  const slides = architecture === "LlamaForCausalLM" && (fields.sliding_window ?? 0) !== 0;
  if (!slides && (fields.sliding_window ?? 0) !== 0) {
    refuse(spelling.sliding_window!, "which Skein reads of a llama only");
  }
  if (!slides) delete fields.sliding_window;
  fields.architectures = [slides ? "MistralForCausalLM" : architecture];
  // Where architectures differ in what an absent field means, GGUF does not.
  fields.num_key_value_heads ??= fields.num_attention_heads;
  fields.vocab_size = tensors.get("token_embd.weight")?.shape[0] ?? fields.vocab_size;
  fields.tie_word_embeddings = !tensors.has("output.weight");
  // Qwen2 always has biases, of q, k and v alone.
  fields.attention_bias = architecture !== "Qwen2ForCausalLM" && tensors.has("blk.0.attn_q.bias");
  fields.mlp_bias = tensors.has("blk.0.ffn_gate.bias");

  const headDim = Number(fields.head_dim ?? Number(fields.hidden_size) / Number(fields.num_attention_heads));
  for (const key of [`${prefix}attention.value_length`, `${prefix}rope.dimension_count`]) {
    // Where headDim itself is no number, its own check says so.
    if (metadata[key] !== undefined && headDim > 0 && metadata[key] !== headDim) {
      refuse(key, `expected ${headDim}, the whole head`);
    }
  }
  if (metadata[`${prefix}attention.causal`] === false) refuse(`${prefix}attention.causal`, "expected true");
  const named = ropeScaling(metadata, `${prefix}rope.`, refuse);
  const factors = metadata[ROPE_FACTORS];
  // llama.cpp would apply both, one after the other; no converter writes such a file.
  if (factors !== undefined && named !== undefined) {
    refuse(`${prefix}rope.scaling.type`, `expected none in a file with the tensor ${ROPE_FACTORS}`);
  }
  const scaling = factors === undefined ? named : { type: "factors", factors };
  if (scaling !== undefined) fields.rope_scaling = scaling;
  return {
    fields,
    spelling,
    stopIds: ["tokenizer.ggml.eot_token_id"].flatMap((key) => metadata[key] === undefined ? [] : [metadata[key]]),
  };
}

type Refuse = (key: string, why: string) => never;

function ropeScaling(
  metadata: Readonly<Record<string, unknown>>,
  rope: string,
  refuse: Refuse,
): Record<string, unknown> | undefined {
  const positive = (key: string): number | undefined => {
    const value = metadata[key];
    if (value === undefined) return undefined;
    if (typeof value !== "number" || !(value > 0 && value < 1e9)) refuse(key, "expected a number over 0");
    return value as number;
  };
  const prefix = `${rope}scaling.`;
  const type = metadata[`${prefix}type`];
  const factor = positive(`${prefix}factor`) ?? positive(`${rope}scale_linear`);
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
