/**
 * The activations that one forward pass needs. A model makes them twice, for chunks of a prompt and for steps of the
 * sequences that decode, so that either may run while the other is not at its end.
 *
 * @module
 */
import { attentionPartialsShape } from "../kernels/attention_decode.ts";
import type { Gpu } from "../gpu/device.ts";
import { byteLengthOf, type Dtype, type Tensor } from "../gpu/tensor.ts";
import type { ModelConfig } from "./config.ts";

/** Tokens whose logits are made at once when all are wanted; one row of Llama-3's vocabulary takes half a megabyte. */
export const LOGIT_ROWS = 16;

/** The tensors, each for up to `rows` tokens. */
export interface Scratch {
  /** Token ids of a prefill chunk: (rows) u32. */
  readonly tokens: Tensor;
  /** The residual stream: (rows, hiddenSize). */
  readonly hidden: Tensor;
  /** Normalised rows: (rows, hiddenSize). */
  readonly normed: Tensor;
  /** Queries, keys and values before rotation: (rows, (nHeads + 2 nKvHeads) * headDim). */
  readonly qkv: Tensor;
  /** Rotated queries: (rows, nHeads, headDim). */
  readonly q: Tensor;
  /** Attention's output: (rows, nHeads, headDim). */
  readonly attended: Tensor;
  /** Highest scores and sums of prefill's rows: (rows, nHeads, 2). */
  readonly softmax: Tensor;
  /** Unmerged outputs, maxima and sums of a split attention. */
  readonly partials: Tensor;
  /** Gate then up projection: (rows, 2 * intermediateSize). */
  readonly gateUp: Tensor;
  /** silu(gate) * up: (rows, intermediateSize). */
  readonly activated: Tensor;
  /** Logits: (logitRows, vocabSize). */
  readonly logits: Tensor;
  /** Targets of `score`: (rows) u32. */
  readonly targets: Tensor;
  /** Log-probabilities of the targets: (rows). */
  readonly logprobs: Tensor;
}

type Shapes = { readonly [name in keyof Scratch]: readonly [Dtype, readonly number[]] };

/** What scratch is made for. */
export interface ScratchSize {
  /** Tokens of a pass at most. */
  readonly rows: number;
  /** Tokens of a pass whose logits are made at once. */
  readonly logitRows: number;
  /** Tokens of a sequence at most. */
  readonly contextLength: number;
}

/** Of passes that prefill chunks of `prefillChunk` tokens. */
export function chunkSize(prefillChunk: number, contextLength: number): ScratchSize {
  return { rows: prefillChunk, logitRows: Math.min(prefillChunk, LOGIT_ROWS), contextLength };
}

/** Of passes that decode `maxBatch` rows. */
export function stepSize(maxBatch: number, contextLength: number): ScratchSize {
  return { rows: maxBatch, logitRows: maxBatch, contextLength };
}

function shapes(c: ModelConfig, { rows, logitRows, contextLength }: ScratchSize): Shapes {
  return {
    tokens: ["u32", [rows]],
    hidden: ["f32", [rows, c.hiddenSize]],
    normed: ["f32", [rows, c.hiddenSize]],
    qkv: ["f32", [rows, c.nHeads + 2 * c.nKvHeads, c.headDim]],
    q: ["f32", [rows, c.nHeads, c.headDim]],
    attended: ["f32", [rows, c.nHeads, c.headDim]],
    softmax: ["f32", [rows, c.nHeads, 2]],
    partials: ["f32", attentionPartialsShape(c, contextLength)],
    gateUp: ["f32", [rows, 2, c.intermediateSize]],
    activated: ["f32", [rows, c.intermediateSize]],
    logits: ["f32", [logitRows, c.vocabSize]],
    targets: ["u32", [rows]],
    logprobs: ["f32", [rows]],
  };
}

function bytesOf(config: ModelConfig, size: ScratchSize): number[] {
  return Object.values(shapes(config, size)).map(([dtype, shape]) => byteLengthOf(dtype, shape));
}

/** Bytes that `createScratch` allocates. */
export function scratchBytes(config: ModelConfig, size: ScratchSize): number {
  return bytesOf(config, size).reduce((sum, bytes) => sum + bytes, 0);
}

/** Bytes of the largest tensor that `createScratch` allocates. */
export function largestScratchBytes(config: ModelConfig, size: ScratchSize): number {
  return Math.max(...bytesOf(config, size));
}

/** Allocates the activations. */
export function createScratch(gpu: Gpu, config: ModelConfig, size: ScratchSize): Scratch {
  const entries = Object.entries(shapes(config, size))
    .map(([name, [dtype, shape]]) => [name, gpu.createTensor(`scratch ${name}`, dtype, shape)]);
  return Object.fromEntries(entries) as Scratch;
}

/** Frees them. */
export function disposeScratch(scratch: Scratch): void {
  for (const tensor of Object.values(scratch)) tensor.dispose();
}
