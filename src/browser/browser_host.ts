/**
 * Models from the web, and from files that somebody picked.
 *
 * @module
 */
import type { Host } from "../api/host.ts";
import { type Inspection, inspectModelOn } from "../api/inspect.ts";
import { loadModelOn } from "../api/load.ts";
import type { LoadOptions } from "../api/load_options.ts";
import type { Model } from "../api/model.ts";
import { httpSource } from "../checkpoint/http_source.ts";
import { blobSource, type ModelSource } from "../checkpoint/source.ts";
import { hubSource, PUBLIC_HUB } from "../hub/hub_source.ts";
import { parseModelId } from "../hub/model_id.ts";

/** The text of `chat/template_worker.ts`, bundled: build.ts puts it in. */
declare const TEMPLATE_WORKER: string;

/** What a browser loads a model from: a name, files of one model, or a source of its files. */
export type BrowserSource = string | Iterable<File> | ArrayLike<File> | ModelSource;

const browserHost: Host = {
  openModel(name, { signal } = {}) {
    if (/^https?:/.test(name)) return Promise.resolve(httpSource(name, signal === undefined ? {} : { signal }));
    const id = parseModelId(name);
    if (id !== undefined) return hubSource(id, PUBLIC_HUB, signal);
    return Promise.reject(
      new TypeError(`Cannot load ${name}: expected the id of a model on Hugging Face, or an address`),
    );
  },
  openFile: (path) => {
    throw new TypeError(`Cannot open ${path}: a browser has no paths, give a Blob`);
  },
  writeFile: (path) =>
    Promise.reject(new TypeError(`Cannot write ${path}: a browser has no paths, give a WritableStream`)),
  // Of more bytes than most pages want: a file of its own, which has to be of the same origin as the page.
  openGrammarWorker: () => new Worker(new URL("./skein_grammar.js", import.meta.url), { type: "module" }),
  openTemplateWorker() {
    const address = URL.createObjectURL(new Blob([TEMPLATE_WORKER], { type: "text/javascript" }));
    try {
      return new Worker(address, { type: "module" });
    } finally {
      // The worker has its script by the next turn of the event loop.
      setTimeout(() => URL.revokeObjectURL(address), 10_000);
    }
  },
};

/**
 * Loads a model onto the GPU.
 *
 * @param source Id of a model on Hugging Face (`ORG/NAME`, `ORG/NAME@REVISION`, `ORG/NAME/FILE.gguf`); address of a
 * folder with a checkpoint, or of a `.gguf` file, on a server that honours ranges; the files of one model; or a source
 * of such files.
 * @returns The model; free it with `dispose` or `using`.
 * @throws {FormatError} If a file is missing or malformed, or asks for something that Skein does not compute.
 * @throws {DownloadError} If there is no such model, it may not be read, or the network fails.
 * @throws {GpuUnavailableError} If there is no WebGPU adapter.
 * @throws {CapacityError} If the memory plan does not fit; nothing was allocated then.
 * @throws {RangeError} If an option is out of range.
 */
export function loadModel(source: BrowserSource, options: LoadOptions = {}): Promise<Model> {
  return loadModelOn(browserHost, sourceOf(source), options);
}

/**
 * Reads a checkpoint's headers and plans its memory. `config.json` alone is enough.
 *
 * @throws {FormatError} As `loadModel`.
 */
export function inspectModel(source: BrowserSource, options: LoadOptions = {}): Promise<Inspection> {
  return inspectModelOn(browserHost, sourceOf(source), options);
}

function sourceOf(source: BrowserSource): string | ModelSource {
  if (typeof source === "string" || "read" in source) return source;
  // Of a picked folder the files in it count, and those of folders in it must not take their place.
  const nameOf = ({ name, webkitRelativePath: path }: File) => path ? path.slice(path.indexOf("/") + 1) : name;
  return blobSource(new Map(Array.from(source, (file) => [nameOf(file), file])));
}
