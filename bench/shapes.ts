/**
 * Models by their shape alone, for measurements that need no checkpoint: the speed of a kernel does not depend on what
 * the weights say.
 *
 * @module
 */
import { type ModelConfig, parseConfig } from "../src/model/config.ts";

/** Fields that all four share. */
const LLAMA = {
  architectures: ["LlamaForCausalLM"],
  hidden_act: "silu",
  rms_norm_eps: 1e-5,
  max_position_embeddings: 131072,
  torch_dtype: "bfloat16",
  bos_token_id: 1,
  eos_token_id: 2,
};

const FIELDS = {
  "Llama-2-7B": {
    hidden_size: 4096,
    intermediate_size: 11008,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: 32,
    vocab_size: 32000,
    tie_word_embeddings: false,
  },
  "Llama-3-8B": {
    hidden_size: 4096,
    intermediate_size: 14336,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    vocab_size: 128256,
    tie_word_embeddings: false,
  },
  "Llama-3.2-1B": {
    hidden_size: 2048,
    intermediate_size: 8192,
    num_hidden_layers: 16,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    vocab_size: 128256,
    tie_word_embeddings: true,
  },
  "SmolLM2-135M": {
    hidden_size: 576,
    intermediate_size: 1536,
    num_hidden_layers: 30,
    num_attention_heads: 9,
    num_key_value_heads: 3,
    vocab_size: 49152,
    tie_word_embeddings: true,
  },
  /** Small enough for a software adapter to run every measurement of the GPU report in a minute. */
  "rehearsal": {
    hidden_size: 256,
    intermediate_size: 512,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    vocab_size: 512,
    tie_word_embeddings: true,
  },
} as const;

/** Names of the shapes. */
export type ShapeName = keyof typeof FIELDS;

/** The config of a shape, with `layers` of its layers where that is given. */
export function shapeOf(name: ShapeName, layers?: number): ModelConfig {
  const fields = { ...LLAMA, ...FIELDS[name], ...(layers === undefined ? {} : { num_hidden_layers: layers }) };
  return parseConfig(fields, `the shape ${name}`);
}
