/**
 * The far-copy model in float64, written from the formulas: what its logits have to be, exactly and with keys and
 * values rounded as a format of the cache stores them.
 *
 * Attention is computed where a token looks somewhere. Everywhere else queries are zero, all scores with them, and a
 * head's output is the mean of the values so far.
 *
 * @module
 */
import type { KvFormat } from "../../mod.ts";
import { type FarCopyModel, yarn } from "./far_copy_model.ts";
import { N_HEADS, N_KV_HEADS } from "./far_copy_tokens.ts";

/** Logits after each lookup, in their order: (lookups, vocabSize). */
export function referenceLogits(model: FarCopyModel, format: KvFormat): Float64Array[] {
  const { shape: { headDim, nLayers }, tokens, lookups } = model;
  const embed = weight(model, "model.embed_tokens");
  const hidden = model.config.hidden_size as number;
  const eps = model.config.rms_norm_eps as number;
  const n = tokens.length;
  const looks = new Set(lookups.map(({ row }) => row));
  const turns = turnsOf(headDim, n);
  // What layers added to each row; only few channels of a row are ever written.
  const added = Array.from({ length: n }, () => new Map<number, number>());
  const rms = (row: number) => {
    let sum = 0;
    for (let i = 0; i < hidden; i++) sum += embed[tokens[row]! * hidden + i]! ** 2;
    for (const x of added[row]!.values()) sum += x * x;
    return Math.sqrt(sum / hidden + eps);
  };
  for (let layer = 0; layer < nLayers; layer++) {
    const name = `model.layers.${layer}.self_attn`;
    // No projection reads a channel that a layer writes: those of the embeddings are all, but for the norm.
    const [q, k, v] = ["q", "k", "v"].map((part) => project(embed, weight(model, `${name}.${part}_proj`), hidden));
    const o = weight(model, `${name}.o_proj`);
    const norms = Float64Array.from({ length: n }, (_, row) => rms(row));
    const rowsOf = (all: Float64Array, nHeads: number, head: number, isKey: boolean) => {
      const out = new Float64Array(n * headDim);
      for (let row = 0; row < n; row++) {
        const own = out.subarray(row * headDim, (row + 1) * headDim);
        const first = (tokens[row]! * nHeads + head) * headDim;
        for (let i = 0; i < headDim; i++) own[i] = all[first + i]! / norms[row]!;
        if (isKey) rotate(own, turns, row);
        if (nHeads === N_KV_HEADS) roundRow(own, format);
      }
      return out;
    };
    const outputs = new Float64Array(n * N_HEADS * headDim);
    for (let g = 0; g < N_KV_HEADS; g++) {
      const keys = rowsOf(k!, N_KV_HEADS, g, true);
      const values = rowsOf(v!, N_KV_HEADS, g, false);
      const sums = new Float64Array(headDim);
      for (let row = 0; row < n; row++) {
        for (let i = 0; i < headDim; i++) sums[i]! += values[row * headDim + i]!;
        for (let h = g * N_HEADS / N_KV_HEADS; h < (g + 1) * N_HEADS / N_KV_HEADS; h++) {
          const out = outputs.subarray((row * N_HEADS + h) * headDim, (row * N_HEADS + h + 1) * headDim);
          if (looks.has(row)) {
            const first = (tokens[row]! * N_HEADS + h) * headDim;
            const query = q!.slice(first, first + headDim).map((x) => x / norms[row]!);
            rotate(query, turns, row);
            attend(query, keys, values, row + 1, out);
          } else {
            for (let i = 0; i < headDim; i++) out[i] = sums[i]! / (row + 1);
          }
        }
      }
    }
    writeOutputs(added, outputs, o, N_HEADS * headDim);
  }
  const head = weight(model, "lm_head");
  return lookups.map(({ row }) => {
    const x = Float64Array.from({ length: hidden }, (_, i) => embed[tokens[row]! * hidden + i]!);
    for (const [channel, value] of added[row]!) x[channel]! += value;
    const norm = rms(row);
    return Float64Array.from({ length: head.length / hidden }, (_, id) => {
      let sum = 0;
      for (let i = 0; i < hidden; i++) sum += head[id * hidden + i]! * x[i]!;
      return sum / norm;
    });
  });
}

function weight({ tensors }: FarCopyModel, name: string): Float32Array {
  const { data } = tensors.get(`${name}.weight`)!;
  return new Float32Array(data.buffer);
}

/** The embeddings times a matrix's rows: (vocabSize, rows). */
function project(embed: Float32Array, matrix: Float32Array, hidden: number): Float64Array {
  const [vocabSize, rows] = [embed.length / hidden, matrix.length / hidden];
  const out = new Float64Array(vocabSize * rows);
  for (let row = 0; row < rows; row++) {
    const used = nonzero(matrix, row * hidden, hidden);
    for (let id = 0; id < vocabSize; id++) {
      let sum = 0;
      for (const i of used) sum += embed[id * hidden + i]! * matrix[row * hidden + i]!;
      out[id * rows + row] = sum;
    }
  }
  return out;
}

/** Adds the output projection of every row to what was written before. */
function writeOutputs(added: Map<number, number>[], outputs: Float64Array, o: Float32Array, width: number): void {
  for (let channel = 0; channel < o.length / width; channel++) {
    const used = nonzero(o, channel * width, width);
    if (used.length === 0) continue;
    added.forEach((written, row) => {
      let sum = 0;
      for (const i of used) sum += o[channel * width + i]! * outputs[row * width + i]!;
      written.set(channel, (written.get(channel) ?? 0) + sum);
    });
  }
}

function nonzero(values: Float32Array, begin: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => i).filter((i) => values[begin + i] !== 0);
}

/** Cosines and sines times the attention factor, of angles that are f32 as the model defines them: (n, headDim). */
function turnsOf(headDim: number, n: number): Float64Array {
  const { invFreq, attentionFactor } = yarn(headDim);
  const turns = new Float64Array(n * headDim);
  for (let row = 0; row < n; row++) {
    invFreq.forEach((frequency, j) => {
      const angle = Math.fround(row * frequency);
      turns[row * headDim + 2 * j] = Math.cos(angle) * attentionFactor;
      turns[row * headDim + 2 * j + 1] = Math.sin(angle) * attentionFactor;
    });
  }
  return turns;
}

function rotate(x: Float64Array, turns: Float64Array, row: number): void {
  const half = x.length / 2;
  for (let j = 0; j < half; j++) {
    const [a, b] = [x[j]!, x[j + half]!];
    const [cos, sin] = [turns[row * x.length + 2 * j]!, turns[row * x.length + 2 * j + 1]!];
    x[j] = a * cos - b * sin;
    x[j + half] = b * cos + a * sin;
  }
}

/** Softmax attention of one query over the first `n` keys. */
function attend(query: Float64Array, keys: Float64Array, values: Float64Array, n: number, out: Float64Array): void {
  const headDim = query.length;
  const scores = new Float64Array(n);
  let highest = -Infinity;
  for (let t = 0; t < n; t++) {
    let score = 0;
    for (let i = 0; i < headDim; i++) score += query[i]! * keys[t * headDim + i]!;
    scores[t] = score /= Math.sqrt(headDim);
    highest = Math.max(highest, score);
  }
  let sum = 0;
  for (let t = 0; t < n; t++) {
    const share = Math.exp(scores[t]! - highest);
    sum += share;
    for (let i = 0; i < headDim; i++) out[i]! += share * values[t * headDim + i]!;
  }
  for (let i = 0; i < headDim; i++) out[i]! /= sum;
}

/** Replaces a row by what a cache of the format gives back. */
function roundRow(x: Float64Array, format: KvFormat): void {
  if (format === "f16") x.forEach((value, i) => x[i] = Math.f16round(value));
  if (format === "q8") roundGroups(x, (group) => nearest(group, Math.f16round(largest(group)) / 127, -127, 127));
  if (format === "q4") {
    hadamard(x);
    roundGroups(x, (group) => {
      const extreme = largest(group) * Math.sign(group.find((value) => Math.abs(value) === largest(group))!);
      const tried = [1, 8 / 7, 16 / 17, 8 / 9].map((c) => nearest(group, Math.f16round(extreme * c) / -8, -8, 7));
      const errors = tried.map((each) => each.reduce((sum, value, i) => sum + (value - group[i]!) ** 2, 0));
      return tried[errors.indexOf(Math.min(...errors))]!;
    });
    hadamard(x);
  }
}

function roundGroups(x: Float64Array, round: (group: Float64Array) => Float64Array): void {
  for (let begin = 0; begin < x.length; begin += 32) x.set(round(x.subarray(begin, begin + 32)), begin);
}

function largest(group: Float64Array): number {
  return group.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

function nearest(group: Float64Array, step: number, lowest: number, highest: number): Float64Array {
  if (step === 0) return group.map(() => 0);
  return group.map((value) => step * Math.min(highest, Math.max(lowest, Math.round(value / step))));
}

/** Transforms a row whose length is a power of two, in place; twice is what it was. */
function hadamard(x: Float64Array): void {
  for (let stride = 1; stride < x.length; stride *= 2) {
    for (let i = 0; i < x.length; i++) {
      if ((i & stride) !== 0) continue;
      const [a, b] = [x[i]!, x[i + stride]!];
      x[i] = a + b;
      x[i + stride] = a - b;
    }
  }
  for (let i = 0; i < x.length; i++) x[i]! /= Math.sqrt(x.length);
}
