/**
 * What a model is and takes, without loading it.
 *
 * @module
 */
import type { ModelSource } from "../checkpoint/source.ts";
import { Gpu } from "../gpu/device.ts";
import { canStore } from "../kernels/kv_formats.ts";
import type { ModelConfig } from "../model/config.ts";
import type { MemoryPlan } from "../model/plan.ts";
import type { RopeFrequencies } from "../model/rope.ts";
import type { WeightChoice } from "../model/weights.ts";
import type { Host } from "./host.ts";
import { checkOptions, type LoadOptions } from "./load_options.ts";
import { openModel, planFor, wasConverted } from "./opened_model.ts";

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
    using gpu = await openGpu(options.device);
    const weights: readonly WeightChoice[] = options.weights === undefined || options.weights === "auto"
      ? wasConverted(checkpoint) ? ["auto"] : ["auto", "f32", "f16", "q8", "q4"]
      : [options.weights];
    const { kvCache = "auto" } = options;
    const smaller = (["q8", "q4"] as const).filter((each) => kvCache === "auto" && canStore(each, config.headDim));
    const plan = weights.flatMap((each) =>
      [kvCache, ...smaller].map((cache) => planFor(opened, { ...options, weights: each, kvCache: cache }, gpu))
    );
    const tensors = [...checkpoint.tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape }));
    return { config, rope: { ...rope.frequenciesAt(0), source: ropeSource }, tensors, plan };
  } finally {
    if (typeof source === "string") files.close();
  }
}

/** A GPU, if there is one: without it the plan stands all the same, and only cannot say what fits. */
async function openGpu(device: GPUDevice | undefined): Promise<Gpu | undefined> {
  try {
    return device === undefined ? await Gpu.request() : await Gpu.from(device);
  } catch {
    return undefined;
  }
}
