/**
 * The architectures that Skein runs, by the name in config.json: what each has beyond Llama, as data. A further relative
 * of Llama is an entry here; anything else is refused by name.
 *
 * @module
 */
import type { ConfigFields } from "./config_fields.ts";

/** What a model has beyond, or other than, a plain Llama. */
export interface ArchitectureTraits {
  /** Whether the q, k and v projections have biases. */
  readonly attentionBias: boolean;
  /** Whether the o projection has a bias. */
  readonly outputBias: boolean;
  /** Whether the gate, up and down projections have biases. */
  readonly mlpBias: boolean;
  /** Added to the mean square in the norm of each query and key head; undefined where heads have no norm. */
  readonly headNormEps: number | undefined;
  /** Whether the checkpoint has q, k and v in one tensor, and gate and up in another. */
  readonly fusedProjections: boolean;
  /**
   * Keys that a token sees in the layers of `slidingLayers`, its own included; undefined where there are none. The cache
   * keeps these and one prefill chunk, in a ring; of other layers it keeps the whole context.
   */
  readonly slidingWindow: number | undefined;
  /** Layers that see only the window. */
  readonly slidingLayers: readonly number[];
  /** Layers that rotate nothing. */
  readonly noRopeLayers: readonly number[];
}

/** One architecture. */
export interface Architecture {
  /** Its `model_type`, which stands for it where a config names no architecture. */
  readonly modelType: string;
  /** transformers' values of absent fields, where they are not Llama's. Null says "none" and is not absent. */
  readonly defaults: Readonly<Record<string, unknown>>;
  /** Fields that it reads besides Llama's. */
  readonly fields: readonly string[];
  /** Whether it rotates a part of each head even without a scaling; others' `partial_rotary_factor` needs one. */
  readonly rotatesPart: boolean;
  /** Reads what it has beyond Llama. */
  readonly traits: (fields: ConfigFields, nLayers: number) => ArchitectureTraits;
}

const LLAMA: ArchitectureTraits = {
  attentionBias: false,
  outputBias: false,
  mlpBias: false,
  headNormEps: undefined,
  fusedProjections: false,
  slidingWindow: undefined,
  slidingLayers: [],
  noRopeLayers: [],
};

const WINDOW_FIELDS = ["sliding_window", "use_sliding_window", "max_window_layers", "layer_types"];
const MOST_TOKENS = 2 ** 30;

/** By name, as config.json has it in `architectures`. */
export const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  LlamaForCausalLM: {
    modelType: "llama",
    defaults: {},
    fields: ["attention_bias", "mlp_bias"],
    rotatesPart: false,
    traits: (fields) => ({ ...LLAMA, ...biases(fields) }),
  },
  MistralForCausalLM: {
    modelType: "mistral",
    defaults: { sliding_window: 4096, num_key_value_heads: 8, max_position_embeddings: 131072 },
    fields: ["sliding_window"],
    rotatesPart: false,
    traits: (fields, nLayers) => ({ ...LLAMA, ...windowOf(fields, nLayers, () => true) }),
  },
  Qwen2ForCausalLM: {
    modelType: "qwen2",
    defaults: { num_key_value_heads: 32, max_position_embeddings: 32768 },
    fields: WINDOW_FIELDS,
    rotatesPart: false,
    traits: (fields, nLayers) => ({ ...LLAMA, attentionBias: true, ...upperWindow(fields, nLayers) }),
  },
  Qwen3ForCausalLM: {
    modelType: "qwen3",
    defaults: { num_key_value_heads: 32, max_position_embeddings: 32768, head_dim: 128 },
    fields: ["attention_bias", ...WINDOW_FIELDS],
    rotatesPart: false,
    traits: (fields, nLayers) => ({
      ...LLAMA,
      ...biases(fields),
      headNormEps: fields.positive("rms_norm_eps", 1, 1e-6),
      ...upperWindow(fields, nLayers),
    }),
  },
  Phi3ForCausalLM: {
    modelType: "phi3",
    defaults: { max_position_embeddings: 4096, original_max_position_embeddings: 4096, rms_norm_eps: 1e-5 },
    fields: ["sliding_window"],
    rotatesPart: true,
    traits: (fields, nLayers) => {
      // The halves of a fused tensor cannot be padded apart.
      const width = fields.value("intermediate_size");
      if (typeof width === "number" && width % 4 !== 0) {
        fields.refuse("intermediate_size", "expected a multiple of 4 where gate and up projection are one tensor");
      }
      return { ...LLAMA, fusedProjections: true, ...windowOf(fields, nLayers, () => true) };
    },
  },
  SmolLM3ForCausalLM: {
    modelType: "smollm3",
    defaults: {
      ...{ num_key_value_heads: 4, max_position_embeddings: 32768, rope_theta: 2e6, tie_word_embeddings: true },
    },
    fields: ["attention_bias", "mlp_bias", "no_rope_layers", "no_rope_layer_interval", ...WINDOW_FIELDS],
    rotatesPart: false,
    traits: (fields, nLayers) => {
      const noRopeLayers = layersWithoutRope(fields, nLayers);
      const window = fields.flag("use_sliding_window", false)
        ? windowOf(fields, nLayers, typeOr(fields, nLayers, (layer) => noRopeLayers.includes(layer)))
        : {};
      return { ...LLAMA, ...biases(fields), noRopeLayers, ...window };
    },
  },
};

function biases(fields: ConfigFields): Pick<ArchitectureTraits, "attentionBias" | "outputBias" | "mlpBias"> {
  const attentionBias = fields.flag("attention_bias", false);
  return { attentionBias, outputBias: attentionBias, mlpBias: fields.flag("mlp_bias", false) };
}

type Window = Pick<ArchitectureTraits, "slidingWindow" | "slidingLayers"> | Record<string, never>;

/** The window of the layers that slide, where the config has one. */
function windowOf(fields: ConfigFields, nLayers: number, slides: (layer: number) => boolean): Window {
  if (!fields.has("sliding_window")) return {};
  const slidingWindow = fields.integer("sliding_window", 1, MOST_TOKENS);
  const slidingLayers = Array.from({ length: nLayers }, (_, layer) => layer).filter(slides);
  return slidingLayers.length === 0 ? {} : { slidingWindow, slidingLayers };
}

/** Qwen's window: in the layers from `max_window_layers` on, and only where the config turns it on. */
function upperWindow(fields: ConfigFields, nLayers: number): Window {
  if (!fields.flag("use_sliding_window", false)) return {};
  const first = fields.integer("max_window_layers", 0, MOST_TOKENS, 28);
  return windowOf(fields, nLayers, typeOr(fields, nLayers, (layer) => layer >= first));
}

/** Whether a layer slides, by the config's list of layer types where it has one. */
function typeOr(
  fields: ConfigFields,
  nLayers: number,
  otherwise: (layer: number) => boolean,
): (layer: number) => boolean {
  if (!fields.has("layer_types")) return otherwise;
  const types = fields.value("layer_types");
  const known = ["full_attention", "sliding_attention"];
  if (!Array.isArray(types) || types.length !== nLayers || !types.every((type) => known.includes(type))) {
    fields.refuse("layer_types", `expected ${nLayers} of ${known.join(" and ")}`);
  }
  return (layer) => (types as string[])[layer] === "sliding_attention";
}

/** SmolLM3's layers without positions: those with a 0 in the list, or without one every fourth. */
function layersWithoutRope(fields: ConfigFields, nLayers: number): number[] {
  const layers = Array.from({ length: nLayers }, (_, layer) => layer);
  if (!fields.has("no_rope_layers")) {
    const interval = fields.integer("no_rope_layer_interval", 1, MOST_TOKENS, 4);
    return layers.filter((layer) => (layer + 1) % interval === 0);
  }
  const list = fields.value("no_rope_layers");
  if (!Array.isArray(list) || list.length < nLayers || !list.every((each) => each === 0 || each === 1)) {
    fields.refuse("no_rope_layers", `expected a list of at least ${nLayers} numbers, each 0 or 1`);
  }
  return layers.filter((layer) => (list as number[])[layer] === 0);
}
