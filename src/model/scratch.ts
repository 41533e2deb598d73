/**
 * The activations that one forward pass needs. They are made once per model and serve every sequence in turn.
 *
 * @module
 */
import { attentionPartialsShape } from "../kernels/attention.ts";
import type { Gpu } from "../gpu/device.ts";
import { byteLengthOf, type Dtype, type Tensor } from "../gpu/tensor.ts";
import type { ModelConfig } from "./config.ts";

/** Tokens whose logits are made at once when all are wanted; one row of Llama-3's vocabulary takes half a megabyte. */
export const LOGIT_ROWS = 16;

/** The tensors, each for up to `chunk` tokens. */
export interface Scratch {
  /** Token ids of a prefill chunk: (chunk) u32. */
  readonly tokens: Tensor;
  /** The residual stream: (chunk, hiddenSize). */
  readonly hidden: Tensor;
  /** Normalised rows: (chunk, hiddenSize). */
  readonly normed: Tensor;
  /** Queries, keys and values before rotation: (chunk, (nHeads + 2 nKvHeads) * headDim). */
  readonly qkv: Tensor;
  /** Rotated queries: (chunk, nHeads, headDim). */
  readonly q: Tensor;
  /** Attention's output: (chunk, nHeads, headDim). */
  readonly attended: Tensor;
  /** Unmerged outputs, maxima and sums of a split attention. */
  readonly partials: Tensor;
  /** Gate then up projection: (chunk, 2 * intermediateSize). */
  readonly gateUp: Tensor;
  /** silu(gate) * up: (chunk, intermediateSize). */
  readonly activated: Tensor;
  /** Logits: (LOGIT_ROWS, vocabSize). */
  readonly logits: Tensor;
  /** Targets of `score`: (chunk) u32. */
  readonly targets: Tensor;
  /** Log-probabilities of the targets: (chunk). */
  readonly logprobs: Tensor;
}

type Shapes = { readonly [name in keyof Scratch]: readonly [Dtype, readonly number[]] };

function shapes(c: ModelConfig, chunk: number, contextLength: number): Shapes {
  return {
    tokens: ["u32", [chunk]],
    hidden: ["f32", [chunk, c.hiddenSize]],
    normed: ["f32", [chunk, c.hiddenSize]],
    qkv: ["f32", [chunk, c.nHeads + 2 * c.nKvHeads, c.headDim]],
    q: ["f32", [chunk, c.nHeads, c.headDim]],
    attended: ["f32", [chunk, c.nHeads, c.headDim]],
    partials: ["f32", attentionPartialsShape(c, contextLength)],
    gateUp: ["f32", [chunk, 2, c.intermediateSize]],
    activated: ["f32", [chunk, c.intermediateSize]],
    logits: ["f32", [Math.min(chunk, LOGIT_ROWS), c.vocabSize]],
    targets: ["u32", [chunk]],
    logprobs: ["f32", [chunk]],
  };
}

/** Bytes that `createScratch` allocates. */
export function scratchBytes(config: ModelConfig, chunk: number, contextLength: number): number {
  return Object.values(shapes(config, chunk, contextLength))
    .reduce((sum, [dtype, shape]) => sum + byteLengthOf(dtype, shape), 0);
}

/** Bytes of the largest tensor that `createScratch` allocates. */
export function largestScratchBytes(config: ModelConfig, chunk: number, contextLength: number): number {
  return Math.max(
    ...Object.values(shapes(config, chunk, contextLength)).map(([dtype, shape]) => byteLengthOf(dtype, shape)),
  );
}

/** Allocates the activations for chunks of up to `chunk` tokens. */
export function createScratch(gpu: Gpu, config: ModelConfig, chunk: number, contextLength: number): Scratch {
  const entries = Object.entries(shapes(config, chunk, contextLength))
    .map(([name, [dtype, shape]]) => [name, gpu.createTensor(`scratch ${name}`, dtype, shape)]);
  return Object.fromEntries(entries) as Scratch;
}

/** Frees them. */
export function disposeScratch(scratch: Scratch): void {
  for (const tensor of Object.values(scratch)) tensor.dispose();
}
