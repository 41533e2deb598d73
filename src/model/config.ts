/**
 * A model's shape, read from config.json or from a GGUF file's metadata. Every number is checked here, once, and a
 * field that would change the computation is refused by name unless Skein computes it.
 *
 * @module
 */
import { ROPE_FACTORS } from "../checkpoint/gguf_rope_factors.ts";
import { type Architecture, ARCHITECTURES, type ArchitectureTraits } from "./architectures.ts";
import { ConfigFields } from "./config_fields.ts";
import { ggufFields, type GgufTensors } from "./gguf_config.ts";
import { parseRopeScaling, type RopeScaling, type RopeSettings, ropeShape } from "./rope.ts";

/** The shape of a Llama or one of its relatives, and what else its config says. */
export interface ModelConfig extends ArchitectureTraits {
  /** Name of the architecture, as transformers spells it. */
  readonly architecture: string;
  /** Rows of the embedding. */
  readonly vocabSize: number;
  /** Width of the residual stream. */
  readonly hiddenSize: number;
  /** Width of the MLP. */
  readonly intermediateSize: number;
  /** Decoder layers. */
  readonly nLayers: number;
  /** Query heads. */
  readonly nHeads: number;
  /** Key and value heads; each serves nHeads / nKvHeads query heads. */
  readonly nKvHeads: number;
  /** Width of a head, a multiple of 4. */
  readonly headDim: number;
  /** Elements of a head that are rotated, a multiple of 4; the rest carries no position. */
  readonly rotaryDim: number;
  /** Added to the mean square in every norm. */
  readonly rmsNormEps: number;
  /** Base of the rotary frequencies. */
  readonly ropeTheta: number;
  /** How the rotary frequencies are scaled. */
  readonly ropeScaling: RopeScaling;
  /** The field that the scaling comes from. */
  readonly ropeSource: RopeSettings["source"];
  /** Tokens that the model says it takes. */
  readonly maxPositionEmbeddings: number;
  /** Whether the head is the embedding. */
  readonly tieWordEmbeddings: boolean;
  /** The token that begins a text, if any. */
  readonly bosId: number | undefined;
  /** Tokens that end a text. */
  readonly eosIds: readonly number[];
  /** Tokens that end a generation: eosIds and those of generation_config.json. */
  readonly stopIds: readonly number[];
  /** Type of the weights that the config announces, for plans made before the weights are there. */
  readonly dtype: "F32" | "F16" | "BF16";
}

/** Bounds that leave room for every published Llama, and keep products of two extents exact and allocatable. */
const MOST = { vocab: 2 ** 22, hidden: 2 ** 17, intermediate: 2 ** 19, layers: 1024, heads: 1024, headDim: 512 };

/** Fields that are read of every architecture, here or with the rotary settings. */
const READ = names(`
  architectures model_type vocab_size hidden_size intermediate_size num_hidden_layers num_attention_heads
  num_key_value_heads head_dim rms_norm_eps hidden_act max_position_embeddings tie_word_embeddings
  bos_token_id eos_token_id torch_dtype dtype rope_theta rope_scaling rope_parameters
  partial_rotary_factor original_max_position_embeddings
`);

/** Fields that say nothing about inference: training, bookkeeping, defaults of generation. */
const HARMLESS = names(`
  initializer_range attention_dropout hidden_dropout embd_pdrop resid_pdrop use_cache pretraining_tp
  gradient_checkpointing transformers_version auto_map name_or_path tokenizer_class pad_token_id unk_token_id
  sep_token_id decoder_start_token_id max_sequence_length max_length min_length do_sample early_stopping num_beams
  num_beam_groups diversity_penalty temperature top_k top_p typical_p repetition_penalty length_penalty
  no_repeat_ngram_size encoder_no_repeat_ngram_size bad_words_ids num_return_sequences output_scores
  return_dict_in_generate remove_invalid_values return_dict output_hidden_states output_attentions torchscript
  use_bfloat16 pruned_heads chunk_size_feed_forward id2label label2id num_labels problem_type finetuning_task
  task_specific_params prefix is_llama_config transformers.js_config unsloth_version unsloth_fixed
  use_flash_attention vocab_file model_max_length license
`);

/** Fields of Llama's relatives, with the value that changes nothing, if there is one. */
const NEUTRAL: ReadonlyMap<string, unknown> = new Map([
  ...["embedding_multiplier", "residual_multiplier", "logits_scaling", "logit_scale"].map((name) => [name, 1] as const),
  ...["interpolate_factor", "full_attn_mod"].map((name) => [name, 1] as const),
  ...["attention_multiplier", "clip_qkv", "quantization_config", "sliding_window"].map((name) => [name, null] as const),
]);

/** Architectures by the model type that stands for them where a config names no architecture. */
const BY_MODEL_TYPE: ReadonlyMap<unknown, string> = new Map(
  Object.entries(ARCHITECTURES).map(([name, { modelType }]) => [modelType, name]),
);

/**
 * Reads a parsed config.json.
 *
 * @param config Its fields.
 * @param file Its name, for errors.
 * @param generationConfig The fields of generation_config.json; only its stop ids are used.
 * @throws {FormatError} If a field is missing, out of range, or asks for something that Skein does not compute.
 */
export function parseConfig(
  config: Readonly<Record<string, unknown>>,
  file: string = "config.json",
  generationConfig: Readonly<Record<string, unknown>> = {},
): ModelConfig {
  const model = readConfig(config, file);
  const more = new ConfigFields(generationConfig, "generation_config.json").ids("eos_token_id", model.vocabSize);
  return { ...model, stopIds: [...new Set([...model.eosIds, ...more])] };
}

/**
 * Reads a GGUF file's metadata.
 *
 * @param metadata Keys and values, as `openCheckpoint` gives them.
 * @param tensors Shapes by name: they tell whether head and embedding are one, and whether there are biases.
 * @param file The file's name, for errors.
 * @throws {FormatError} As `parseConfig`.
 */
export function parseGgufConfig(
  metadata: Readonly<Record<string, unknown>>,
  tensors: GgufTensors,
  file: string,
): ModelConfig {
  const { fields, spelling, stopIds } = ggufFields(metadata, tensors, file);
  const model = readConfig(fields, file, spelling);
  const more = new ConfigFields({ stopIds }, file, { stopIds: "tokenizer.ggml.eot_token_id" })
    .ids("stopIds", model.vocabSize);
  return {
    ...model,
    stopIds: [...new Set([...model.eosIds, ...more])],
    ...(model.ropeScaling.type === "factors" ? { ropeSource: ROPE_FACTORS } : {}),
  };
}

function readConfig(
  config: Readonly<Record<string, unknown>>,
  file: string,
  spelling: Readonly<Record<string, string>> = {},
): ModelConfig {
  const named = config.architectures;
  const name = Array.isArray(named) && named.length > 0 ? named[0] : BY_MODEL_TYPE.get(config.model_type);
  const architecture = typeof name === "string" && Object.hasOwn(ARCHITECTURES, name) ? ARCHITECTURES[name] : undefined;
  if (architecture === undefined) {
    const fields = new ConfigFields(config, file, spelling);
    const field = fields.has("architectures") ? "architectures" : "model_type";
    fields.refuse(field, `Skein runs ${Object.keys(ARCHITECTURES).join(", ")}`, "UnknownArchitecture");
  }
  const complete = { ...architecture!.defaults, ...config };
  const fields = new ConfigFields(complete, file, spelling);
  return readModel(fields, name as string, architecture!, parseRopeScaling(complete, file));
}

function readModel(
  fields: ConfigFields,
  name: string,
  architecture: Architecture,
  rope: RopeSettings,
): ModelConfig {
  refuseUnknown(fields, architecture.fields);
  if (fields.has("hidden_act") && fields.value("hidden_act") !== "silu") {
    fields.refuse("hidden_act", `Skein computes "silu" here`, "UnknownActivation");
  }
  const vocabSize = fields.integer("vocab_size", 1, MOST.vocab);
  const hiddenSize = fields.integer("hidden_size", 1, MOST.hidden);
  const nHeads = fields.integer("num_attention_heads", 1, MOST.heads);
  const nKvHeads = fields.integer("num_key_value_heads", 1, MOST.heads, nHeads);
  if (nHeads % nKvHeads !== 0) {
    fields.refuse("num_key_value_heads", `expected a divisor of the ${nHeads} query heads`);
  }
  if (!fields.has("head_dim") && hiddenSize % nHeads !== 0) {
    fields.refuse("num_attention_heads", `expected a divisor of hidden_size ${hiddenSize}, or a head_dim`);
  }
  const headDim = fields.integer("head_dim", 4, MOST.headDim, hiddenSize / nHeads);
  if (headDim % 4 !== 0 || headDim > MOST.headDim) {
    const field = fields.has("head_dim") ? "head_dim" : "num_attention_heads";
    fields.refuse(field, `which makes heads of ${headDim}: expected a multiple of 4, at most ${MOST.headDim}`);
  }
  const { rotaryDim } = ropeShape(rope, headDim, fields.file);
  if (rotaryDim !== headDim && rope.scaling.type === "none" && !architecture.rotatesPart) {
    fields.refuse("partial_rotary_factor", `which transformers ignores in a ${name} without scaling: expected 1`);
  }
  const nLayers = fields.integer("num_hidden_layers", 1, MOST.layers);
  // Yarn-Mistral's max_position_embeddings is not the length that it was extended to.
  const lengthField = rope.source.endsWith("auto_map") && fields.has("max_sequence_length")
    ? "max_sequence_length"
    : "max_position_embeddings";
  const eosIds = fields.ids("eos_token_id", vocabSize);
  return {
    ...architecture.traits(fields, nLayers),
    architecture: name,
    vocabSize,
    hiddenSize,
    intermediateSize: fields.integer("intermediate_size", 1, MOST.intermediate),
    nLayers,
    nHeads,
    nKvHeads,
    headDim,
    rotaryDim,
    rmsNormEps: fields.positive("rms_norm_eps", 1, 1e-6),
    ropeTheta: rope.ropeTheta,
    ropeScaling: rope.scaling,
    ropeSource: rope.source,
    maxPositionEmbeddings: fields.integer(lengthField, 1, 2 ** 30, 2048),
    tieWordEmbeddings: fields.flag("tie_word_embeddings", false),
    bosId: fields.ids("bos_token_id", vocabSize)[0],
    eosIds,
    stopIds: eosIds,
    dtype: dtypeOf(fields),
  };
}

/** transformers' name of the weights' type; without one its default, float32. */
function dtypeOf(fields: ConfigFields): ModelConfig["dtype"] {
  const name = fields.value("dtype") ?? fields.value("torch_dtype");
  return name === "float16" ? "F16" : name === "bfloat16" ? "BF16" : "F32";
}

/** Refuses fields that may change the computation. Null and false are how configs say that something is off. */
function refuseUnknown(fields: ConfigFields, own: readonly string[]): void {
  for (const name of fields.names) {
    const value = fields.value(name);
    if (READ.has(name) || own.includes(name) || HARMLESS.has(name) || name.startsWith("_") || value === false) continue;
    if (NEUTRAL.has(name)) {
      if (value === NEUTRAL.get(name)) continue;
      fields.refuse(name, "which Skein does not compute", "UnknownField");
    }
    fields.refuse(name, "and Skein does not know this field; remove it if it is only a note", "UnknownField");
  }
}

/** The words of a list. */
function names(list: string): ReadonlySet<string> {
  return new Set(list.trim().split(/\s+/));
}
