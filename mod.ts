/**
 * Skein runs Llama models with long contexts on WebGPU: it loads a Hugging Face or GGUF checkpoint, extends its
 * context by YaRN, and generates text with WGSL kernels.
 *
 * @example Load a model and print text as it comes
 * ```ts
 * import { loadModel } from "@skein/skein";
 *
 * using model = await loadModel("tests/testdata/pg-nano-yarn-2k");
 * for await (const { text } of model.generate("Once upon a time", { maxTokens: 20 })) {
 *   await Deno.stdout.write(new TextEncoder().encode(text));
 * }
 * ```
 *
 * @module
 */
export { inspectModel, loadModel } from "./src/api/deno_host.ts";
export { convertModel } from "./src/api/convert.ts";
export type { ConvertOptions } from "./src/api/convert.ts";
export type { ConversionProgress, ConvertedModel } from "./src/convert/conversion.ts";
export { pull } from "./src/api/named_model.ts";
export type { PullOptions } from "./src/api/named_model.ts";
export type { PulledModel } from "./src/hub/pull.ts";
export * from "./src/api/exports.ts";
