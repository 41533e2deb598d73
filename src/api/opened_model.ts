/**
 * A checkpoint before its weights are read: its config, its RoPE, and the memory that it would take.
 *
 * @module
 */
import { type Checkpoint, openCheckpoint } from "../checkpoint/checkpoint.ts";
import { isConverted } from "../checkpoint/converted.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import { hashOf } from "../checkpoint/source_fingerprint.ts";
import type { Gpu } from "../gpu/device.ts";
import { canStore, KV_FORMATS, type KvFormat } from "../kernels/kv_formats.ts";
import { type ModelConfig, parseConfig, parseGgufConfig } from "../model/config.ts";
import { paddedConfig } from "../model/padding.ts";
import { DEFAULT_MAX_BATCH, defaultPrefillChunk, type MemoryPlan, planMemory } from "../model/plan.ts";
import { createRope, type Rope, type RopeScaling } from "../model/rope.ts";
import { chooseRope } from "../model/rope_choice.ts";
import { planWeights, type WeightChoice } from "../model/weights.ts";
import type { LoadOptions } from "./load_options.ts";

/** A checkpoint with everything about it that needs no weights. */
export interface Opened {
  readonly checkpoint: Checkpoint;
  readonly config: ModelConfig;
  readonly rope: Rope;
  readonly ropeSource: string;
  readonly contextLength: number;
}

/** Reads all of a model but its tokenizer and its weights. */
export async function openModel(files: ModelSource, options: LoadOptions): Promise<Opened> {
  const checkpoint = await openCheckpoint(files);
  const { configFile, generationConfig, tensors } = checkpoint;
  const config = checkpoint.format === "gguf"
    ? parseGgufConfig(checkpoint.config, tensors, configFile)
    : parseConfig(checkpoint.config, configFile, generationConfig);
  const { scaling, shape, source } = chooseRope(config, options.ropeScaling);
  return {
    checkpoint,
    config: { ...config, rotaryDim: shape.rotaryDim },
    rope: createRope(scaling, shape),
    ropeSource: source,
    contextLength: options.contextLength ?? defaultContext(config, scaling, options.ropeScaling !== undefined),
  };
}

/** A scaling that a caller asks for is meant to be used at its length; one that ships is described by its config. */
function defaultContext(config: ModelConfig, scaling: RopeScaling, isOverride: boolean): number {
  if (!isOverride || scaling.type === "none") return config.maxPositionEmbeddings;
  const original = "originalMaxPositionEmbeddings" in scaling
    ? scaling.originalMaxPositionEmbeddings
    : config.maxPositionEmbeddings;
  const factor = "factor" in scaling ? scaling.factor : 1;
  return Math.max(config.maxPositionEmbeddings, Math.floor(original * factor));
}

/**
 * What the model takes on a device, or on one that is not known.
 *
 * @throws {RangeError} If keys and values cannot be stored as the options want it.
 */
export function planFor(
  { checkpoint, config, contextLength }: Opened,
  options: LoadOptions,
  gpu: Gpu | undefined,
): MemoryPlan {
  const { weights = "auto", kvCache = "auto", memoryLimit } = options;
  if (kvCache !== "auto" && !canStore(kvCache, config.headDim)) {
    throw new RangeError(
      `Cannot load with kvCache "${kvCache}": the model's head_dim ${config.headDim} is not a multiple of 16; use f16 or f32`,
    );
  }
  return planMemory(paddedConfig(config), {
    weights,
    weightsBytes: planWeights(config, checkpoint, weights, gpu?.maxTensorBytes),
    kvCache: kvCache === "auto" ? (isFloat32(checkpoint, config, weights) ? "f32" : "f16") : kvCache,
    contextLength,
    prefillChunk: prefillChunkOf(options, gpu, contextLength),
    maxBatch: options.maxBatch ?? DEFAULT_MAX_BATCH,
    ...(gpu === undefined ? {} : { maxTensorBytes: gpu.maxTensorBytes }),
    ...(memoryLimit === undefined ? {} : { memoryLimit }),
  });
}

/** Whether the weights are stored as float32, in which case keys and values are too unless asked for otherwise. */
function isFloat32({ tensors }: Checkpoint, config: ModelConfig, weights: WeightChoice): boolean {
  if (weights !== "auto") return weights === "f32";
  const matrices = [...tensors.values()].filter(({ shape }) => shape.length === 2);
  return matrices.length === 0 ? config.dtype === "F32" : matrices.every(({ dtype }) => dtype === "F32");
}

/** Tokens that one prefill pass takes. */
export function prefillChunkOf(options: LoadOptions, gpu: Gpu | undefined, contextLength: number): number {
  return Math.min(contextLength, options.prefillChunk ?? defaultPrefillChunk(gpu?.isSoftware ?? false, contextLength));
}

/**
 * What would fit: for the weights asked for and each smaller storage of them, the most precise cache that does, and the
 * longest context; where no storage is small enough, the longest context of the smallest.
 */
export function adviceFor(opened: Opened, options: LoadOptions, gpu: Gpu): string {
  const { weights = "auto", kvCache = "auto" } = options;
  const planOf = (each: WeightChoice, cache: KvFormat | "auto", contextLength = opened.contextLength) =>
    planFor({ ...opened, contextLength }, { ...options, weights: each, kvCache: cache }, gpu);
  const asked = planOf(weights, kvCache);
  const caches = KV_FORMATS.slice(KV_FORMATS.indexOf(asked.kvCache))
    .filter((each) => canStore(each, opened.config.headDim));
  const smaller = (["f16", "q8", "q4"] as const)
    .filter((each) => !wasConverted(opened.checkpoint) && planOf(each, "f16").weightsBytes < asked.weightsBytes);
  const named = (each: WeightChoice, cache: KvFormat) => [
    ...each === weights ? [] : [`weights ${each}`],
    ...cache === asked.kvCache ? [] : [`KV cache ${cache}`],
  ];
  const choices = [weights, ...smaller].flatMap((each) => {
    const cache = caches.find((cache) => planOf(each, cache).fits !== false);
    return cache === undefined ? [] : [named(each, cache)];
  });
  const least = [smaller.at(-1) ?? weights, caches.at(-1)!] as const;
  const shorter = choices.length > 0 ? [[weights, asked.kvCache] as const] : [[weights, asked.kvCache] as const, least];
  for (const [each, cache] of shorter) {
    const longest = longestThat((length) => planOf(each, cache, length).fits !== false, opened.contextLength);
    if (longest > 0) choices.push([...named(each, cache), `context length ${longest}`]);
  }
  if (choices.length > 0) return `try ${[...new Set(choices.map((choice) => choice.join(" and ")))].join(", or ")}`;
  const { totalBytes } = planOf(...least, 1);
  return `nothing smaller fits: ${
    [...named(...least), "context length 1"].join(" and ")
  } would need ${totalBytes} bytes`;
}

/** The greatest length under a bound that fits, where whatever is shorter than one that fits does too; 0 for none. */
function longestThat(fits: (length: number) => boolean, bound: number): number {
  let [longest, tooLong] = [0, bound];
  while (tooLong - longest > 1) {
    const length = (longest + tooLong) >> 1;
    if (fits(length)) longest = length;
    else tooLong = length;
  }
  return longest;
}

/** Whether weights are stored as they lie on the GPU, and can be loaded in no other way. */
export function wasConverted({ tensors }: Checkpoint): boolean {
  return [...tensors.values()].some(({ dtype }) => isConverted(dtype));
}

/** Tells a model from another that has come to stand in its place. */
export function identityOf({ config, checkpoint }: Opened): Promise<string> {
  return hashOf([JSON.stringify([config, ...checkpoint.tensors])]);
}
