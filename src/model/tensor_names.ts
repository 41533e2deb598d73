/**
 * What checkpoints call the tensors of a Llama and its relatives.
 *
 * @module
 */

/** Name of the head's tensor, which a checkpoint may carry although the head is the embedding. */
export const LM_HEAD = "lm_head.weight";

/** transformers' names, without `.weight` or `.bias`: `layer` is the prefix of a layer, the rest follow it or stand alone. */
export const HUGGING_FACE_NAMES = {
  layer: "model.layers.",
  embedTokens: "model.embed_tokens",
  norm: "model.norm",
  lmHead: "lm_head",
  inputNorm: "input_layernorm",
  qProj: "self_attn.q_proj",
  kProj: "self_attn.k_proj",
  vProj: "self_attn.v_proj",
  qkvProj: "self_attn.qkv_proj",
  qNorm: "self_attn.q_norm",
  kNorm: "self_attn.k_norm",
  oProj: "self_attn.o_proj",
  postAttentionNorm: "post_attention_layernorm",
  gateProj: "mlp.gate_proj",
  upProj: "mlp.up_proj",
  gateUpProj: "mlp.gate_up_proj",
  downProj: "mlp.down_proj",
};

/** The same for GGUF files: llama.cpp's names. */
export const GGUF_NAMES: typeof HUGGING_FACE_NAMES = {
  layer: "blk.",
  embedTokens: "token_embd",
  norm: "output_norm",
  lmHead: "output",
  inputNorm: "attn_norm",
  qProj: "attn_q",
  kProj: "attn_k",
  vProj: "attn_v",
  qkvProj: "attn_qkv",
  qNorm: "attn_q_norm",
  kNorm: "attn_k_norm",
  oProj: "attn_output",
  postAttentionNorm: "ffn_norm",
  gateProj: "ffn_gate",
  upProj: "ffn_up",
  gateUpProj: "ffn_up",
  downProj: "ffn_down",
};
