/**
 * Skein for browsers: the same as the package's main module, without a disk. `deno task build:browser` makes one ES
 * module of it.
 *
 * @example Load what somebody picked with `<input type="file" multiple>` or `<input type="file" webkitdirectory>`
 * ```html
 * <script type="module">
 *   import { loadModel } from "./skein.js";
 *
 *   const model = await loadModel("HuggingFaceTB/SmolLM2-135M-Instruct"); // or the files of an <input>
 *   for await (const { text } of model.generate("Once upon a time")) document.body.append(text);
 * </script>
 * ```
 *
 * @module
 */
export { inspectModel, loadModel } from "./browser_host.ts";
export type { BrowserSource } from "./browser_host.ts";
export * from "../api/exports.ts";
