/**
 * A model that is built, not trained: its heads copy from single positions anywhere in 65,536 tokens, so that no error
 * averages out.
 *
 * Keys carry position alone, or position behind a gate; RoPE turns them. A query is a key turned back by the distance to
 * its target, so that a score is a sum of cos((distance - target distance) * invFreq_j) over all pairs, extrapolated,
 * blended and interpolated, with its peak at one position:
 *
 * - Sharp heads (0 and 1, one KV head) see all tokens and copy the target to within e^-20. A position that is off by one
 *   copies another token.
 * - Gated heads (2 and 3, the other KV head) see anchors; all other keys are zero. The target gets 95 % of the weight
 *   against tens of thousands of zeros, which depends on the scale of the scores: on the attention factor.
 *
 * Which position a query looks for is in the embedding of its token, a lookup. All heads of a layer write to channels of
 * their own, and entries of the vocabulary, probes, read one channel each: logits are what heads copied. The last
 * layer's head 0 copies the code of the lookup to feed next, so that greedy decoding follows a chain of exact copies.
 *
 * @module
 */
import { encode, type TensorData } from "../checkpoint/tiny_checkpoint.ts";
import {
  CODE_BITS,
  type FarCopyShape,
  type FarCopyTokens,
  isSharp,
  layOut,
  type Lookup,
  N_CODES,
  N_HEADS,
  N_KV_HEADS,
} from "./far_copy_tokens.ts";

/** What a head adds to its channels for a copied bit: so little that no norm notices. */
const WRITTEN = 2 ** -6;

/** Score of a sharp head's target. A neighbour's is 0.18 of it lower. */
const SHARP_PEAK = 400;

/** By how much a gated head's target outweighs the zeros of all other keys together, as a logarithm. */
const GATED_LEAD = 3;

/** Share of pair j in a score: invFreq_j to this power. High frequencies tell neighbours apart, low ones far places. */
const SHARES = { sharp: 0.8, gated: 0.2 };

/** Logit of the next lookup for each bit that its code shares with what was copied. */
const CHAIN_LOGIT = 0.25;

const YARN = { factor: 16, original: 4096, theta: 10_000, betaFast: 32, betaSlow: 1 };

/** The model, and the tokens to feed it. */
export interface FarCopyModel extends FarCopyTokens {
  readonly shape: FarCopyShape;
  /** As config.json. */
  readonly config: Readonly<Record<string, unknown>>;
  /** f32, named as Hugging Face does. */
  readonly tensors: ReadonlyMap<string, TensorData>;
}

/** YaRN's frequencies and factor for one head, rounded to f32 where the reference rounds. */
export function yarn(headDim: number): { invFreq: Float32Array; attentionFactor: number } {
  const f = Math.fround;
  const pairOf = (turns: number) =>
    headDim * Math.log(YARN.original / (turns * 2 * Math.PI)) / (2 * Math.log(YARN.theta));
  const low = Math.max(0, Math.floor(pairOf(YARN.betaFast)));
  const high = Math.min(headDim - 1, Math.ceil(pairOf(YARN.betaSlow)));
  const invFreq = Float32Array.from({ length: headDim / 2 }, (_, j) => {
    const period = f(YARN.theta ** f(2 * j / headDim));
    const share = f(1 - f(Math.min(1, Math.max(0, (j - low) / (high - low)))));
    return f(f(f(1 / f(YARN.factor * period)) * f(1 - share)) + f(f(1 / period) * share));
  });
  return { invFreq, attentionFactor: f(0.1 * Math.log(YARN.factor) + 1) };
}

/** Builds the model; every call with one shape gives the same. */
export function buildFarCopy(shape: FarCopyShape): FarCopyModel {
  const { headDim, nLayers, contextLength } = shape;
  const { tokens, last, lookups } = layOut(shape);
  const at = channelsOf(shape);
  const nProbes = nLayers * N_HEADS * CODE_BITS;
  const vocabSize = 2 * N_CODES + lookups.length + 1 + nProbes;
  const config = {
    ...{ architectures: ["LlamaForCausalLM"], model_type: "llama", torch_dtype: "float32", tie_word_embeddings: false },
    ...{ hidden_size: at.hidden, intermediate_size: 32, num_hidden_layers: nLayers, vocab_size: vocabSize },
    ...{ num_attention_heads: N_HEADS, num_key_value_heads: N_KV_HEADS, head_dim: headDim, rms_norm_eps: 1e-6 },
    ...{ max_position_embeddings: contextLength, rope_theta: YARN.theta, hidden_act: "silu" },
    rope_scaling: {
      ...{ type: "yarn", factor: YARN.factor, original_max_position_embeddings: YARN.original, finetuned: true },
    },
  };
  const tensors = new Map<string, TensorData>();
  const add = (name: string, shape: readonly number[], data: Float32Array<ArrayBuffer>) =>
    tensors.set(`${name}.weight`, { dtype: "F32", shape, data: encode("F32", data) });
  const ones = () => new Float32Array(at.hidden).fill(1);
  add("model.embed_tokens", [vocabSize, at.hidden], embeddings(shape, lookups, vocabSize));
  for (let layer = 0; layer < nLayers; layer++) {
    const { q, k, v, o } = attentionWeights(shape, layer);
    const name = `model.layers.${layer}`;
    add(`${name}.input_layernorm`, [at.hidden], ones());
    add(`${name}.self_attn.q_proj`, [N_HEADS * headDim, at.hidden], q);
    add(`${name}.self_attn.k_proj`, [N_KV_HEADS * headDim, at.hidden], k);
    add(`${name}.self_attn.v_proj`, [N_KV_HEADS * headDim, at.hidden], v);
    add(`${name}.self_attn.o_proj`, [at.hidden, N_HEADS * headDim], o);
    add(`${name}.post_attention_layernorm`, [at.hidden], ones());
    add(`${name}.mlp.gate_proj`, [32, at.hidden], new Float32Array(32 * at.hidden));
    add(`${name}.mlp.up_proj`, [32, at.hidden], new Float32Array(32 * at.hidden));
    add(`${name}.mlp.down_proj`, [at.hidden, 32], new Float32Array(32 * at.hidden));
  }
  add("model.norm", [at.hidden], ones());
  const head = new Float32Array(vocabSize * at.hidden);
  for (let i = 0; i <= lookups.length; i++) {
    for (let bit = 0; bit < CODE_BITS; bit++) {
      head[(2 * N_CODES + i) * at.hidden + at.written(nLayers - 1, 0, bit)] = CHAIN_LOGIT * sign(i, bit) / WRITTEN;
    }
  }
  for (let probe = 0; probe < nProbes; probe++) {
    head[(vocabSize - nProbes + probe) * at.hidden + at.written(0, 0, probe)] = 1 / WRITTEN;
  }
  add("lm_head", [vocabSize, at.hidden], head);
  return { shape, config, tensors, tokens, last, lookups };
}

/** Where in the hidden rows what is. */
function channelsOf({ headDim, nLayers }: FarCopyShape) {
  const query = (layer: number, h: number, i: number) => (layer * N_HEADS + h) * headDim + i;
  const code = query(nLayers, 0, 0);
  const [one, gate, ballast] = [code + CODE_BITS, code + CODE_BITS + 1, code + CODE_BITS + 2];
  const written = (layer: number, h: number, bit: number) => ballast + 1 + (layer * N_HEADS + h) * CODE_BITS + bit;
  const hidden = Math.ceil(written(nLayers, 0, 0) / 32) * 32;
  return { query, code: (bit: number) => code + bit, one, gate, ballast, written, hidden };
}

/** +1 or -1 for a bit of a number. */
function sign(value: number, bit: number): number {
  return (value >> bit & 1) === 1 ? 1 : -1;
}

/** All of the same length, so that norms change nothing: (vocabSize, hidden). */
function embeddings(shape: FarCopyShape, lookups: readonly Lookup[], vocabSize: number): Float32Array<ArrayBuffer> {
  const { headDim, nLayers, contextLength } = shape;
  const at = channelsOf(shape);
  const { invFreq } = yarn(headDim);
  const out = new Float32Array(vocabSize * at.hidden);
  for (let id = 0; id < vocabSize; id++) {
    const row = out.subarray(id * at.hidden, (id + 1) * at.hidden);
    row[at.one] = 1;
    const lookup = lookups[id - 2 * N_CODES];
    for (let bit = 0; bit < CODE_BITS; bit++) row[at.code(bit)] = sign(id, bit);
    if (id >= N_CODES && id < 2 * N_CODES) row[at.gate] = 1;
    for (let layer = 0; lookup !== undefined && layer < nLayers; layer++) {
      for (let h = 0; h < N_HEADS; h++) {
        const distance = lookup.row - lookup.targets[layer]![h]!;
        const weight = isSharp(h) ? 1 : gatedPeak(lookup.row + 1) / gatedPeak(contextLength);
        invFreq.forEach((frequency, j) => {
          row[at.query(layer, h, j)] = weight * Math.cos(distance * frequency);
          row[at.query(layer, h, j + headDim / 2)] = -weight * Math.sin(distance * frequency);
        });
      }
    }
    const squares = row.reduce((sum, x) => sum + x * x, 0);
    row[at.ballast] = Math.sqrt(at.hidden - squares);
  }
  return out;
}

/** Score of a gated head's target among `n` keys. */
function gatedPeak(n: number): number {
  return Math.log(n) + GATED_LEAD;
}

/** One layer's projections, (rows, hidden) of q, k and v and (hidden, rows) of o. */
function attentionWeights(
  shape: FarCopyShape,
  layer: number,
): Record<"q" | "k" | "v" | "o", Float32Array<ArrayBuffer>> {
  const { headDim, contextLength } = shape;
  const at = channelsOf(shape);
  const { invFreq, attentionFactor } = yarn(headDim);
  const half = headDim / 2;
  const q = new Float32Array(N_HEADS * headDim * at.hidden);
  const k = new Float32Array(N_KV_HEADS * headDim * at.hidden);
  const v = new Float32Array(N_KV_HEADS * headDim * at.hidden);
  const o = new Float32Array(at.hidden * N_HEADS * headDim);
  for (let h = 0; h < N_HEADS; h++) {
    const shares = invFreq.map((frequency) => frequency ** (isSharp(h) ? SHARES.sharp : SHARES.gated));
    const sum = shares.reduce((total, share) => total + share, 0);
    const peak = isSharp(h) ? SHARP_PEAK : gatedPeak(contextLength);
    for (let i = 0; i < headDim; i++) {
      const weight = peak * Math.sqrt(headDim) / attentionFactor ** 2 * shares[i % half]! / sum;
      q[(h * headDim + i) * at.hidden + at.query(layer, h, i)] = weight;
      for (let bit = 0; bit < CODE_BITS; bit++) {
        const column = h * headDim + i;
        const kvHead = Math.floor(h / (N_HEADS / N_KV_HEADS));
        o[at.written(layer, h, bit) * N_HEADS * headDim + column] = WRITTEN *
          hadamardSign(valueRow(layer, kvHead, bit, headDim), i) / headDim;
      }
    }
  }
  for (let g = 0; g < N_KV_HEADS; g++) {
    for (let i = 0; i < headDim; i++) {
      if (i < half) k[(g * headDim + i) * at.hidden + (g === 0 ? at.one : at.gate)] = 1;
      for (let bit = 0; bit < CODE_BITS; bit++) {
        v[(g * headDim + i) * at.hidden + at.code(bit)] = hadamardSign(valueRow(layer, g, bit, headDim), i);
      }
    }
  }
  return { q, k, v, o };
}

/**
 * Row of the Hadamard matrix that carries a bit of a value. Sums of such rows are small whole numbers, and once more
 * transformed a few elements of one size: all formats store them nearly exactly, so that only keys are rounded.
 */
function valueRow(layer: number, kvHead: number, bit: number, headDim: number): number {
  return (1 + 7 * bit + 3 * kvHead + 11 * layer) % headDim;
}

function hadamardSign(row: number, column: number): number {
  let parity = 0;
  for (let bits = row & column; bits > 0; bits &= bits - 1) parity ^= 1;
  return parity === 1 ? -1 : 1;
}
