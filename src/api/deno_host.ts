/**
 * Models and files on disk, through Deno.
 *
 * @module
 */
import { fileSource } from "../checkpoint/deno_source.ts";
import { writeWhole } from "../checkpoint/whole_file.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import type { Host } from "./host.ts";
import { type Inspection, inspectModelOn } from "./inspect.ts";
import { loadModelOn } from "./load.ts";
import type { LoadOptions } from "./load_options.ts";
import type { Model } from "./model.ts";
import { openNamedModel } from "./named_model.ts";

const denoHost: Host = {
  openModel: openNamedModel,
  openFile: fileSource,
  openTemplateWorker: () => new Worker(new URL("../chat/template_worker.ts", import.meta.url), { type: "module" }),
  openGrammarWorker: () => new Worker(new URL("../grammar/grammar_worker.ts", import.meta.url), { type: "module" }),
  writeFile: writeWhole,
};

/**
 * Loads a model onto the GPU.
 *
 * @param source Path of a directory with a Hugging Face checkpoint (`config.json`, `tokenizer.json` or
 * `tokenizer.model`, `model.safetensors` or `pytorch_model.bin`, or shards with their index), path of a `.gguf` file,
 * or a source of such files. A path needs permission to read it and nothing else. What is no path may be an id on the
 * Hugging Face hub, as `ORG/NAME`, `ORG/NAME@REVISION` or `ORG/NAME/FILE.gguf`: it is fetched into the hub's cache, which
 * needs permission for the network, the cache and the variables that say where it is. An address that begins with
 * `https://` names a folder or a `.gguf` file on a server that honours ranges; nothing of it is kept.
 * @returns The model; free it with `dispose` or `using`.
 * @throws {FormatError} If a file is missing or malformed, or asks for something that Skein does not compute.
 * @throws {DownloadError} If the model cannot be fetched.
 * @throws {GpuUnavailableError} If there is no WebGPU adapter.
 * @throws {CapacityError} If the memory plan does not fit; nothing was allocated then.
 * @throws {RangeError} If an option is out of range.
 *
 * @example Load a model and continue a text
 * ```ts
 * import { loadModel } from "@skein/skein";
 *
 * using model = await loadModel("tests/testdata/pg-nano-yarn-2k", { weights: "q8" });
 * const { text } = await model.generate("Once upon a time", { maxTokens: 20 }).result;
 * console.log(text);
 * ```
 */
export function loadModel(source: string | ModelSource, options: LoadOptions = {}): Promise<Model> {
  return loadModelOn(denoHost, source, options);
}

/**
 * Reads a checkpoint's headers and plans its memory. A directory with `config.json` alone is enough, so that a plan
 * can be seen before a download.
 *
 * A model on the hub is not downloaded for it: ranges with the headers are read.
 *
 * @throws {FormatError} As `loadModel`.
 */
export function inspectModel(source: string | ModelSource, options: LoadOptions = {}): Promise<Inspection> {
  return inspectModelOn(denoHost, source, options);
}
