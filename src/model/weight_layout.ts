/**
 * Which tensors of a checkpoint make up which weights of a Llama.
 *
 * @module
 */
import type { ModelConfig } from "./config.ts";

/** The weights of one layer; M stands for a matrix, V for a vector. */
export interface LlamaLayer<M, V> {
  /** Gain before attention: (hiddenSize). */
  readonly inputNorm: V;
  /** Query, key and value rows: ((nHeads + 2 nKvHeads) * headDim, hiddenSize). */
  readonly qkvProj: M;
  /** Their biases: ((nHeads + 2 nKvHeads) * headDim). */
  readonly qkvBias: V | undefined;
  /** Attention's output: (hiddenSize, nHeads * headDim). */
  readonly oProj: M;
  /** Its bias: (hiddenSize). */
  readonly oBias: V | undefined;
  /** Gain before the MLP: (hiddenSize). */
  readonly postAttentionNorm: V;
  /** Gate rows, then up rows: (2 * intermediateSize, hiddenSize). */
  readonly gateUpProj: M;
  /** Their biases: (2 * intermediateSize). */
  readonly gateUpBias: V | undefined;
  /** The MLP's output: (hiddenSize, intermediateSize). */
  readonly downProj: M;
  /** Its bias: (hiddenSize). */
  readonly downBias: V | undefined;
}

/** All weights; M stands for a matrix, V for a vector. */
export interface LlamaParameters<M, V> {
  /** Embedding: (vocabSize, hiddenSize). */
  readonly embedTokens: M;
  /** The layers, first to last. */
  readonly layers: readonly LlamaLayer<M, V>[];
  /** Gain before the head: (hiddenSize). */
  readonly norm: V;
  /** Head: (vocabSize, hiddenSize); the embedding itself where they are tied. */
  readonly lmHead: M;
}

/** Weights that become one matrix, or one vector, from one tensor or several stacked ones. */
export interface Slot {
  /** What it is, for error messages. */
  readonly label: string;
  /** Rows of all tensors together; the length of a vector. */
  readonly rows: number;
  /** Columns; 0 for a vector. */
  readonly columns: number;
  /** Tensors in order of their rows. */
  readonly tensors: readonly SlotTensor[];
  /** True for embedding and head, which a 4-bit choice keeps at 8 bits. */
  readonly isVocabulary: boolean;
}

/** One tensor of a slot. */
export interface SlotTensor {
  /** Name in the checkpoint. */
  readonly name: string;
  /** Its rows. */
  readonly rows: number;
  /** Half of headDim where GGUF stores rows as interleaved rotation pairs; else 0. */
  readonly halfDim: number;
}

/** Name of the head's tensor, which a checkpoint may carry although the head is the embedding. */
export const LM_HEAD = "lm_head.weight";

/** Names of a Llama's tensors: `layer` is the prefix of a layer, the rest follow it or stand alone. */
const HUGGING_FACE = {
  layer: "model.layers.",
  embedTokens: "model.embed_tokens",
  norm: "model.norm",
  lmHead: "lm_head",
  inputNorm: "input_layernorm",
  qProj: "self_attn.q_proj",
  kProj: "self_attn.k_proj",
  vProj: "self_attn.v_proj",
  oProj: "self_attn.o_proj",
  postAttentionNorm: "post_attention_layernorm",
  gateProj: "mlp.gate_proj",
  upProj: "mlp.up_proj",
  downProj: "mlp.down_proj",
};

const GGUF: typeof HUGGING_FACE = {
  layer: "blk.",
  embedTokens: "token_embd",
  norm: "output_norm",
  lmHead: "output",
  inputNorm: "attn_norm",
  qProj: "attn_q",
  kProj: "attn_k",
  vProj: "attn_v",
  oProj: "attn_output",
  postAttentionNorm: "ffn_norm",
  gateProj: "ffn_gate",
  upProj: "ffn_up",
  downProj: "ffn_down",
};

/** The slots of a model. */
export function layoutOf(config: ModelConfig, isGguf: boolean): LlamaParameters<Slot, Slot> {
  const { vocabSize, hiddenSize, intermediateSize, nHeads, nKvHeads, headDim, nLayers } = config;
  const names = isGguf ? GGUF : HUGGING_FACE;
  const halfDim = isGguf ? headDim / 2 : 0;
  const slot = (label: string, columns: number, tensors: SlotTensor[], isVocabulary = false): Slot => ({
    label,
    rows: tensors.reduce((sum, { rows }) => sum + rows, 0),
    columns,
    tensors,
    isVocabulary,
  });
  const single = (name: string, rows: number, columns: number, isVocabulary = false): Slot =>
    slot(name, columns, [{ name: `${name}.weight`, rows, halfDim: 0 }], isVocabulary);
  const embedTokens = single(names.embedTokens, vocabSize, hiddenSize, true);
  return {
    embedTokens,
    layers: Array.from({ length: nLayers }, (_, i) => {
      const at = (name: string) => `${names.layer}${i}.${name}`;
      const projection = (suffix: string, columns: number, tensors: readonly (readonly [string, number, number])[]) =>
        slot(
          tensors.map(([name]) => at(name)).join(" + ") + suffix,
          columns,
          tensors.map(([name, rows, halfDim]) => ({ name: at(name) + suffix, rows, halfDim })),
        );
      const qkv = [
        [names.qProj, nHeads * headDim, halfDim],
        [names.kProj, nKvHeads * headDim, halfDim],
        [names.vProj, nKvHeads * headDim, 0],
      ] as const;
      const o = [[names.oProj, hiddenSize, 0]] as const;
      const gateUp = [[names.gateProj, intermediateSize, 0], [names.upProj, intermediateSize, 0]] as const;
      const down = [[names.downProj, hiddenSize, 0]] as const;
      const { attentionBias, mlpBias } = config;
      return {
        inputNorm: single(at(names.inputNorm), hiddenSize, 0),
        qkvProj: projection(".weight", hiddenSize, qkv),
        qkvBias: attentionBias ? projection(".bias", 0, qkv) : undefined,
        oProj: projection(".weight", nHeads * headDim, o),
        oBias: attentionBias ? projection(".bias", 0, o) : undefined,
        postAttentionNorm: single(at(names.postAttentionNorm), hiddenSize, 0),
        gateUpProj: projection(".weight", hiddenSize, gateUp),
        gateUpBias: mlpBias ? projection(".bias", 0, gateUp) : undefined,
        downProj: projection(".weight", intermediateSize, down),
        downBias: mlpBias ? projection(".bias", 0, down) : undefined,
      };
    }),
    norm: single(names.norm, hiddenSize, 0),
    lmHead: config.tieWordEmbeddings ? embedTokens : single(names.lmHead, vocabSize, hiddenSize, true),
  };
}

/** Makes something of each slot; a tied head gets what the embedding got. */
export function mapSlots<M, V>(
  layout: LlamaParameters<Slot, Slot>,
  matrix: (slot: Slot) => M,
  vector: (slot: Slot) => V,
): LlamaParameters<M, V> {
  const optional = (slot: Slot | undefined) => slot === undefined ? undefined : vector(slot);
  const embedTokens = matrix(layout.embedTokens);
  return {
    embedTokens,
    layers: layout.layers.map((layer) => ({
      inputNorm: vector(layer.inputNorm),
      qkvProj: matrix(layer.qkvProj),
      qkvBias: optional(layer.qkvBias),
      oProj: matrix(layer.oProj),
      oBias: optional(layer.oBias),
      postAttentionNorm: vector(layer.postAttentionNorm),
      gateUpProj: matrix(layer.gateUpProj),
      gateUpBias: optional(layer.gateUpBias),
      downProj: matrix(layer.downProj),
      downBias: optional(layer.downBias),
    })),
    norm: vector(layout.norm),
    lmHead: layout.lmHead === layout.embedTokens ? embedTokens : matrix(layout.lmHead),
  };
}
