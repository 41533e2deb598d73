/**
 * Loading and inspecting models.
 *
 * @module
 */
import { type Checkpoint, openCheckpoint } from "../checkpoint/checkpoint.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import { isConverted } from "../checkpoint/converted.ts";
import { FormatError } from "../errors.ts";
import { Gpu } from "../gpu/device.ts";
import { selfTest } from "../kernels/self_test.ts";
import { type ModelConfig, parseConfig, parseGgufConfig } from "../model/config.ts";
import { canStore, KV_FORMATS, type KvFormat } from "../kernels/kv_formats.ts";
import { paddedConfig } from "../model/padding.ts";
import {
  DEFAULT_MAX_BATCH,
  defaultPrefillChunk,
  describePlan,
  type MemoryPlan,
  planMemory,
  requireFit,
} from "../model/plan.ts";
import { checkKernels } from "../model/kernel_check.ts";
import { createRope, type Rope, type RopeFrequencies, type RopeScaling } from "../model/rope.ts";
import { chooseRope, type RopeChoice } from "../model/rope_choice.ts";
import { Runtime } from "../model/runtime.ts";
import { warmUp } from "../model/warm_up.ts";
import { hashOf } from "../checkpoint/source_fingerprint.ts";
import { type LoadProgress, loadWeights, planWeights, type WeightChoice } from "../model/weights.ts";
import { Tokenizer } from "../tokenizer/tokenizer.ts";
import { readTemplateFile } from "../chat/template_file.ts";
import { chatTemplateOf } from "./chat.ts";
import type { DownloadProgress } from "../hub/transfer_progress.ts";
import type { Host } from "./host.ts";
import { Model, type ReloadOptions } from "./model.ts";

/** Options of `loadModel`. */
export interface LoadOptions {
  /** How weights are stored on the GPU; `"auto"` keeps the file's own precision. @default {"auto"} */
  readonly weights?: WeightChoice;
  /** How keys and values are stored; `"auto"` is f32 with f32 weights, else f16. @default {"auto"} */
  readonly kvCache?: KvFormat | "auto";
  /** Most tokens of a session. May exceed what the config says. Default: what the config says. */
  readonly contextLength?: number;
  /**
   * RoPE scaling in place of the model's own: `"none"`, or an object as config.json's `rope_scaling` has it. Where it
   * names no original length, that of the model's own scaling is it, or the config's `max_position_embeddings`.
   */
  readonly ropeScaling?: RopeChoice;
  /** Bytes of GPU memory that the model may take, sessions of full length included. Default: not limited. */
  readonly memoryLimit?: number;
  /** Tokens that one prefill pass takes. Default: 128 on a software adapter, else 512. */
  readonly prefillChunk?: number;
  /**
   * Sequences that decode in one pass at most, from 1 to 64; further ones take turns. Activations are made for so many.
   * @default {16}
   */
  readonly maxBatch?: number;
  /** A device to use; it stays the caller's. Default: the default adapter's. */
  readonly device?: GPUDevice;
  /**
   * Whether a model from the hub is kept in the hub's cache on disk, and taken from there. Without it, its weights go
   * by HTTP ranges straight to the GPU, as they do from any address and in a browser. @default {true}
   */
  readonly cache?: boolean;
  /** Told how far download and load have come. */
  readonly onProgress?: (progress: LoadProgress | DownloadProgress) => void;
  /** Aborting ends the load; it then throws the signal's reason and leaves nothing on the GPU. */
  readonly signal?: AbortSignal;
}

/** What a checkpoint holds and what it takes to run it. */
export interface Inspection {
  /** The model's shape and settings. */
  readonly config: ModelConfig;
  /** The rotary frequencies that would be used (of a short input, where they depend on its length), and the config's field that they come from. */
  readonly rope: RopeFrequencies & { readonly source: string };
  /** Tensors as the files have them; empty where there is only a config. */
  readonly tensors: readonly { readonly name: string; readonly dtype: string; readonly shape: readonly number[] }[];
  /** What it takes on the GPU, for each way to store weights and cache. */
  readonly plan: readonly MemoryPlan[];
}

/** Largest `maxBatch`: further sequences gain nothing from one pass, and every one adds dispatches to it. */
const MOST_BATCH = 64;

/** A checkpoint with everything about it that needs no weights. */
interface Opened {
  readonly checkpoint: Checkpoint;
  readonly config: ModelConfig;
  readonly rope: Rope;
  readonly ropeSource: string;
  readonly contextLength: number;
}

/** `loadModel` on a host. */
export async function loadModelOn(host: Host, source: string | ModelSource, options: LoadOptions): Promise<Model> {
  checkOptions(options);
  const { signal, cache } = options;
  signal?.throwIfAborted();
  const openFiles = async ({ onProgress, signal }: ReloadOptions) =>
    typeof source === "string" ? await host.openModel(source, { cache, onProgress, signal }) : source;
  const files = await openFiles(options);
  const undo: (() => void)[] = [];
  try {
    const opened = await openModel(files, options);
    const { checkpoint, config } = opened;
    if (checkpoint.format === "none") {
      throw new FormatError(files.name, `Cannot load ${files.name}: it has a config and no weights`, {
        code: "Missing",
      });
    }
    const tokenizer = new Tokenizer(await checkpoint.tokenizer(), files.name);
    undo.push(() => tokenizer.dispose());
    const templateFile = await readTemplateFile(files);
    if (tokenizer.vocabSize > config.vocabSize) {
      throw new FormatError(
        checkpoint.configFile,
        `Cannot use the tokenizer of ${files.name}: it has ${tokenizer.vocabSize} tokens and the embedding has ${config.vocabSize} rows`,
        { code: "Vocabulary" },
      );
    }
    const { runtime, plan } = await openRuntime(opened, options);
    undo.push(() => runtime.gpu.dispose());
    const identity = await identityOf(opened);
    return new Model({
      host,
      runtime,
      tokenizer,
      plan,
      chatTemplate: chatTemplateOf(templateFile, tokenizer, host),
      reopen: async (changes, rope) => {
        if (options.device !== undefined && changes.device === undefined) {
          throw new TypeError("Cannot reload a model on the device that was lost: pass another as device");
        }
        const files = await openFiles(changes);
        try {
          const again = await openModel(files, options);
          if (await identityOf(again) !== identity) {
            throw new FormatError(files.name, `Cannot reload ${files.name}: it is another model than was loaded`, {
              code: "Changed",
            });
          }
          // Who followed the first load, or could end it, has no part in this one.
          const { signal: _signal, onProgress: _onProgress, ...lasting } = options;
          return (await openRuntime({ ...again, rope }, { ...lasting, ...changes })).runtime;
        } finally {
          if (typeof source === "string") files.close();
        }
      },
    });
  } catch (error) {
    for (const step of undo.reverse()) step();
    throw error;
  } finally {
    if (typeof source === "string") files.close();
  }
}

/** Tells a model from another that has come to stand in its place. */
function identityOf({ config, checkpoint }: Opened): Promise<string> {
  return hashOf([JSON.stringify([config, ...checkpoint.tensors])]);
}

/** Puts a model on a device and compiles its kernels. Where that fails, nothing stays on the device. */
async function openRuntime(opened: Opened, options: LoadOptions): Promise<{ runtime: Runtime; plan: MemoryPlan }> {
  const { checkpoint, config, rope, contextLength } = opened;
  const { device, signal, onProgress, weights: choice = "auto" } = options;
  const gpu = device === undefined ? await Gpu.request() : await Gpu.from(device);
  try {
    const plan = planFor(opened, options, gpu);
    // Advice takes a dozen plans, which a model that fits need not wait for.
    if (plan.fits === false) requireFit(plan, adviceFor(opened, options, gpu));
    gpu.memoryNote = describePlan(plan);
    await selfTest(gpu);
    const weights = await loadWeights(gpu, config, checkpoint, {
      weights: choice,
      ...(signal === undefined ? {} : { signal }),
      ...(onProgress === undefined ? {} : { onProgress }),
    });
    const runtime = await gpu.allocate(() =>
      new Runtime(gpu, paddedConfig(config), weights, {
        rope,
        kvFormat: plan.kvCache,
        contextLength,
        prefillChunk: prefillChunkOf(options, gpu, contextLength),
        maxBatch: options.maxBatch ?? DEFAULT_MAX_BATCH,
        stopIds: config.stopIds,
      })
    );
    await warmUp(runtime);
    await checkKernels(runtime);
    return { runtime, plan };
  } catch (error) {
    gpu.dispose();
    throw error;
  }
}

/** `inspectModel` on a host. */
export async function inspectModelOn(
  host: Host,
  source: string | ModelSource,
  options: LoadOptions,
): Promise<Inspection> {
  checkOptions(options);
  const { cache, signal } = options;
  const files = typeof source === "string"
    ? await host.openModel(source, { cache, signal, headersOnly: true })
    : source;
  try {
    const opened = await openModel(files, options);
    const { checkpoint, config, rope, ropeSource } = opened;
    let gpu: Gpu | undefined;
    try {
      gpu = options.device === undefined ? await Gpu.request() : await Gpu.from(options.device);
    } catch {
      // Without an adapter the plan stands all the same; it only cannot say what fits.
    }
    const weights: readonly WeightChoice[] = options.weights === undefined || options.weights === "auto"
      ? wasConverted(checkpoint) ? ["auto"] : ["auto", "f32", "f16", "q8", "q4"]
      : [options.weights];
    const { kvCache = "auto" } = options;
    const smaller = (["q8", "q4"] as const).filter((each) => kvCache === "auto" && canStore(each, config.headDim));
    const plan = weights.flatMap((each) =>
      [kvCache, ...smaller].map((cache) => planFor(opened, { ...options, weights: each, kvCache: cache }, gpu))
    );
    gpu?.dispose();
    const tensors = [...checkpoint.tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape }));
    return { config, rope: { ...rope.frequenciesAt(0), source: ropeSource }, tensors, plan };
  } finally {
    if (typeof source === "string") files.close();
  }
}

async function openModel(files: ModelSource, options: LoadOptions): Promise<Opened> {
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

function planFor(
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

function prefillChunkOf(options: LoadOptions, gpu: Gpu | undefined, contextLength: number): number {
  return Math.min(contextLength, options.prefillChunk ?? defaultPrefillChunk(gpu?.isSoftware ?? false, contextLength));
}

/** What would fit: for the weights asked for and each smaller storage of them, the most precise cache that does. */
function adviceFor(opened: Opened, options: LoadOptions, gpu: Gpu): string {
  const { weights = "auto", kvCache = "auto" } = options;
  const planOf = (each: WeightChoice, cache: KvFormat | "auto") =>
    planFor(opened, { ...options, weights: each, kvCache: cache }, gpu);
  const asked = planOf(weights, kvCache);
  const caches = KV_FORMATS.slice(KV_FORMATS.indexOf(asked.kvCache))
    .filter((each) => canStore(each, opened.config.headDim));
  const smaller = (["q8", "q4"] as const)
    .filter((each) => !wasConverted(opened.checkpoint) && planOf(each, "f16").weightsBytes < asked.weightsBytes);
  const choices = [weights, ...smaller].flatMap((each) => {
    const cache = caches.find((cache) => planOf(each, cache).fits !== false);
    if (cache === undefined) return [];
    const named = [each === weights ? "" : `weights ${each}`, cache === asked.kvCache ? "" : `KV cache ${cache}`];
    return [named.filter((choice) => choice !== "").join(" and ")];
  });
  return `try ${[...choices, "a smaller context length"].join(", or ")}`;
}

/** Whether weights are stored as they lie on the GPU, and can be loaded in no other way. */
function wasConverted({ tensors }: Checkpoint): boolean {
  return [...tensors.values()].some(({ dtype }) => isConverted(dtype));
}

function checkOptions(options: LoadOptions): void {
  for (const name of ["contextLength", "memoryLimit", "prefillChunk"] as const) {
    const value = options[name];
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 1)) {
      throw new RangeError(`Cannot load with ${name} ${value}: expected an integer of at least 1`);
    }
  }
  const { maxBatch } = options;
  if (maxBatch !== undefined && !(Number.isSafeInteger(maxBatch) && maxBatch >= 1 && maxBatch <= MOST_BATCH)) {
    throw new RangeError(`Cannot load with maxBatch ${maxBatch}: expected an integer from 1 to ${MOST_BATCH}`);
  }
  const choices = { weights: ["auto", "f32", "f16", "q8", "q4"], kvCache: ["auto", ...KV_FORMATS] } as const;
  for (const name of ["weights", "kvCache"] as const) {
    const value = options[name];
    if (value !== undefined && !(choices[name] as readonly string[]).includes(value)) {
      throw new RangeError(`Cannot load with ${name} "${value}": expected one of ${choices[name].join(", ")}`);
    }
  }
}
