/**
 * Loading models.
 *
 * @module
 */
import type { ModelSource } from "../checkpoint/source.ts";
import { FormatError } from "../errors.ts";
import { Gpu } from "../gpu/device.ts";
import { readTemplateFile } from "../chat/template_file.ts";
import { selfTest } from "../kernels/self_test.ts";
import { checkKernels } from "../model/kernel_check.ts";
import { paddedConfig } from "../model/padding.ts";
import { DEFAULT_MAX_BATCH, describePlan, type MemoryPlan, requireFit } from "../model/plan.ts";
import { Runtime } from "../model/runtime.ts";
import { warmUp } from "../model/warm_up.ts";
import { loadWeights } from "../model/weights.ts";
import { Tokenizer } from "../tokenizer/tokenizer.ts";
import { chatTemplateOf } from "./chat.ts";
import type { Host } from "./host.ts";
import { checkOptions, type LoadOptions, type ReloadOptions } from "./load_options.ts";
import { Model } from "./model.ts";
import { adviceFor, identityOf, type Opened, openModel, planFor, prefillChunkOf } from "./opened_model.ts";

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

/** Puts a model on a device and compiles its kernels. Where that fails, nothing stays on the device. */
export async function openRuntime(
  opened: Opened,
  options: LoadOptions,
): Promise<{ runtime: Runtime; plan: MemoryPlan }> {
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
