/**
 * Choosing a model and loading it.
 *
 * @module
 */
import { type BrowserSource, loadModel, type LoadOptions, type Model } from "../mod.ts";
import { BUNDLED_NAME, fetchBundledModel } from "./bundled_model.ts";
import { button, counted, element, input, numberIn } from "./elements.ts";
import { obstacle, sentenceOf } from "./sentences.ts";

/** Told of each model that is loaded, and of the end of the one before. */
export interface ModelUser {
  /** Before a model is freed. */
  onLeave(): Promise<void>;
  /** After a model was loaded. */
  onModel(model: Model): void;
}

/** Lets the form load models. */
export function setUpChooser(user: ModelUser): void {
  const form = element("chooser", HTMLFormElement);
  const loading = element("loading", HTMLElement);
  const loaded = element("loaded", HTMLElement);
  const failure = element("load-error", HTMLElement);
  const step = element("load-step", HTMLElement);
  const progress = element("load-progress", HTMLProgressElement);
  let model: Model | undefined;
  let abort = new AbortController();

  const show = (shown: HTMLElement) => {
    for (const each of [form, loading, loaded]) each.hidden = each !== shown;
  };
  const tell = (text: string, share?: number) => {
    step.textContent = text;
    if (share === undefined) progress.removeAttribute("value");
    else progress.value = share;
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    failure.textContent = "";
    abort = new AbortController();
    const { signal } = abort;
    show(loading);
    button("cancel").focus();
    try {
      tell("Fetching the model");
      const { source, name } = await chosen((share) => tell("Fetching the model", share), signal);
      // Two models might not fit: the old one goes first.
      await user.onLeave();
      model?.dispose();
      model = undefined;
      model = await loadModel(source, {
        ...options(),
        signal,
        onProgress: ({ loaded, total }) => {
          // What follows the last byte is compiling, which has no measure.
          if (loaded < total) tell("Bringing it to the graphics card", loaded / total);
          else tell("Getting ready");
        },
      });
      element("model-name", HTMLElement).textContent = name;
      element("model-facts", HTMLElement).textContent = factsOf(model);
      show(loaded);
      user.onModel(model);
    } catch (error) {
      if (!signal.aborted) failure.textContent = sentenceOf(error);
      button("keep").hidden = model === undefined;
      show(form);
      button("load").focus();
    }
  });
  button("cancel").addEventListener("click", () => abort.abort());
  button("change").addEventListener("click", () => {
    button("keep").hidden = false;
    show(form);
    form.querySelector<HTMLInputElement>("[type=radio]:checked")?.focus();
  });
  button("keep").addEventListener("click", () => {
    failure.textContent = "";
    show(loaded);
  });

  const none = obstacle();
  if (none !== undefined) {
    failure.textContent = none;
    button("load").disabled = true;
  }
}

/** The source that the form names. */
async function chosen(
  onProgress: (share: number) => void,
  signal: AbortSignal,
): Promise<{ source: BrowserSource; name: string }> {
  const from = new FormData(element("chooser", HTMLFormElement)).get("from");
  if (from === "bundled") return { source: await fetchBundledModel(onProgress, signal), name: BUNDLED_NAME };
  if (from === "hub") {
    const { value, placeholder } = input("hub-id");
    const id = value.trim() || placeholder;
    return { source: id, name: id };
  }
  const { files } = input("files");
  if (files === null || files.length === 0) throw new Error("Choose the files of a model first");
  return { source: files, name: files.length === 1 ? files[0]!.name : "Your files" };
}

function options(): LoadOptions {
  const contextLength = numberIn("context-length");
  return {
    weights: element("weights", HTMLSelectElement).value as NonNullable<LoadOptions["weights"]>,
    kvCache: element("kv-cache", HTMLSelectElement).value as NonNullable<LoadOptions["kvCache"]>,
    ...(contextLength === undefined ? {} : { contextLength }),
  };
}

function factsOf(model: Model): string {
  const { config, rope, contextLength, memory } = model;
  const scaling = rope.type === "none" ? "" : `, RoPE scaled by ${rope.type === "yarn" ? "YaRN" : rope.type}`;
  return `${config.nLayers} layers, ${(memory.weightsBytes / 1e6).toFixed(0)} MB of weights, context of ${
    counted(contextLength)
  } tokens${scaling}; on ${model.deviceName}`;
}
