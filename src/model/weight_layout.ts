/**
 * Which tensors of a checkpoint make up which weights of a Llama.
 *
 * @module
 */
import type { ModelConfig } from "./config.ts";
import { padded } from "./padding.ts";
import { GGUF_NAMES, HUGGING_FACE_NAMES } from "./tensor_names.ts";

/** The weights of one layer; M stands for a matrix, V for a vector. */
export interface LlamaLayer<M, V> {
  /** Gain before attention: (hiddenSize). */
  readonly inputNorm: V;
  /** Query, key and value rows: ((nHeads + 2 nKvHeads) * headDim, hiddenSize). */
  readonly qkvProj: M;
  /** Their biases: ((nHeads + 2 nKvHeads) * headDim). */
  readonly qkvBias: V | undefined;
  /** Gains of each query head and of each key head before rotation, where heads have a norm: (2 * headDim). */
  readonly headNorm: V | undefined;
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
  /** Rows of all tensors, each padded; the length of a vector. */
  readonly rows: number;
  /** Weights of a row in the checkpoint; 0 for a vector. */
  readonly columns: number;
  /** Tensors in order of their rows. */
  readonly tensors: readonly SlotTensor[];
  /** "vocabulary" is embedding or head, which a 4-bit choice keeps at 8 bits; "gain" is a norm's. */
  readonly role: "vocabulary" | "gain" | "inner";
}

/** One tensor of a slot. */
export interface SlotTensor {
  /** Name in the checkpoint. */
  readonly name: string;
  /** Its rows in the checkpoint. */
  readonly rows: number;
  /** Row of the slot that its row 0 becomes. */
  readonly rowOffset: number;
  /** Half of headDim where GGUF stores rows as interleaved rotation pairs; else 0. */
  readonly halfDim: number;
}

/** Architectures whose rows of q and k llama.cpp's converter puts in the order of rotation pairs. */
const INTERLEAVED: readonly string[] = ["LlamaForCausalLM", "MistralForCausalLM"];

/** The slots of a model. */
export function layoutOf(config: ModelConfig, isGguf: boolean): LlamaParameters<Slot, Slot> {
  const { vocabSize, hiddenSize, intermediateSize, nHeads, nKvHeads, headDim, nLayers } = config;
  const { architecture, attentionBias, outputBias, mlpBias, fusedProjections, headNormEps, tieWordEmbeddings } = config;
  const names = isGguf ? GGUF_NAMES : HUGGING_FACE_NAMES;
  const halfDim = isGguf && INTERLEAVED.includes(architecture) ? headDim / 2 : 0;
  const gain = (name: string) => stack("gain", ".weight", 0, [[name, hiddenSize]]);
  const vocabulary = (name: string) => stack("vocabulary", ".weight", hiddenSize, [[name, vocabSize]]);
  const embedTokens = vocabulary(names.embedTokens);
  return {
    embedTokens,
    layers: Array.from({ length: nLayers }, (_, i) => {
      const at = (name: string) => `${names.layer}${i}.${name}`;
      const qkv: Stacked[] = fusedProjections ? [[at(names.qkvProj), (nHeads + 2 * nKvHeads) * headDim]] : [
        [at(names.qProj), nHeads * headDim, halfDim],
        [at(names.kProj), nKvHeads * headDim, halfDim],
        [at(names.vProj), nKvHeads * headDim],
      ];
      const headNorms: Stacked[] = [[at(names.qNorm), headDim], [at(names.kNorm), headDim]];
      const o: Stacked[] = [[at(names.oProj), hiddenSize]];
      const gateUp: Stacked[] = fusedProjections
        ? [[at(names.gateUpProj), 2 * intermediateSize]]
        : [[at(names.gateProj), intermediateSize], [at(names.upProj), intermediateSize]];
      const down: Stacked[] = [[at(names.downProj), hiddenSize]];
      return {
        inputNorm: gain(at(names.inputNorm)),
        qkvProj: stack("inner", ".weight", hiddenSize, qkv),
        qkvBias: attentionBias ? stack("inner", ".bias", 0, qkv) : undefined,
        oProj: stack("inner", ".weight", nHeads * headDim, o),
        headNorm: headNormEps === undefined ? undefined : stack("gain", ".weight", 0, headNorms),
        oBias: outputBias ? stack("inner", ".bias", 0, o) : undefined,
        postAttentionNorm: gain(at(names.postAttentionNorm)),
        gateUpProj: stack("inner", ".weight", hiddenSize, gateUp),
        gateUpBias: mlpBias ? stack("inner", ".bias", 0, gateUp) : undefined,
        downProj: stack("inner", ".weight", intermediateSize, down),
        downBias: mlpBias ? stack("inner", ".bias", 0, down) : undefined,
      };
    }),
    norm: gain(names.norm),
    lmHead: tieWordEmbeddings ? embedTokens : vocabulary(names.lmHead),
  };
}

/** A tensor's name without its ending, its rows, and half of headDim where its rows are interleaved pairs. */
type Stacked = readonly [name: string, rows: number, halfDim?: number];

function stack(role: Slot["role"], ending: string, columns: number, stacked: readonly Stacked[]): Slot {
  const tensors: SlotTensor[] = [];
  let rowOffset = 0;
  for (const [name, rows, halfDim = 0] of stacked) {
    tensors.push({ name: name + ending, rows, rowOffset, halfDim });
    rowOffset += role === "vocabulary" ? rows : padded(rows);
  }
  return { label: tensors.map(({ name }) => name).join(" + "), rows: rowOffset, columns, tensors, role };
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
      headNorm: optional(layer.headNorm),
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
