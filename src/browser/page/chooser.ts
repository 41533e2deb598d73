/**
 * Choosing a model and loading it.
 *
 * @module
 */
import { type BrowserSource, loadModel, type LoadOptions } from "../mod.ts";
import { BUNDLED_NAME, fetchBundledModel } from "./bundled_model.ts";
import { button, element, input, numberIn } from "./elements.ts";
import { LocalSpeaker } from "./local_speaker.ts";
import { obstacle, sentenceOf } from "./sentences.ts";
import { servedModels } from "./server_speaker.ts";
import type { Speaker } from "./speaker.ts";

/** Told of each model that is loaded, and of the end of the one before. */
export interface SpeakerUser {
  /** Before a model is freed. */
  onLeave(): Promise<void>;
  /** After a model was loaded. */
  onSpeaker(speaker: Speaker): void;
}

/** Lets the form load models. A server's own model needs no loading: the first of them is there at once. */
export async function setUpChooser(user: SpeakerUser): Promise<void> {
  const form = element("chooser", HTMLFormElement);
  const loading = element("loading", HTMLElement);
  const loaded = element("loaded", HTMLElement);
  const failure = element("load-error", HTMLElement);
  const step = element("load-step", HTMLElement);
  const progress = element("load-progress", HTMLProgressElement);
  /** The server's own models, by their values in the form. */
  const servers = new Map<string, Speaker>();
  let hasModel = false;
  let abort = new AbortController();

  const show = (shown: HTMLElement) => {
    for (const each of [form, loading, loaded]) each.hidden = each !== shown;
  };
  const tell = (text: string, share?: number) => {
    step.textContent = text;
    if (share === undefined) progress.removeAttribute("value");
    else progress.value = share;
  };
  /** Two models might not fit: the old one goes first. */
  const leave = async () => {
    hasModel = false;
    await user.onLeave();
  };
  const use = (speaker: Speaker) => {
    hasModel = true;
    element("place", HTMLElement).textContent = speaker.place;
    element("model-name", HTMLElement).textContent = speaker.name;
    element("model-facts", HTMLElement).textContent = speaker.facts;
    show(loaded);
    user.onSpeaker(speaker);
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    failure.textContent = "";
    abort = new AbortController();
    const { signal } = abort;
    show(loading);
    button("cancel").focus();
    try {
      const served = servers.get(choice());
      if (served !== undefined) {
        await leave();
        return use(served);
      }
      tell("Fetching the model");
      const { source, name } = await chosen((share) => tell("Fetching the model", share), signal);
      await leave();
      const model = await loadModel(source, {
        ...options(),
        signal,
        onProgress: ({ loaded, total }) => {
          // What follows the last byte is compiling, which has no measure.
          if (loaded < total) tell("Bringing it to the graphics card", loaded / total);
          else tell("Getting ready");
        },
      });
      use(new LocalSpeaker(name, model));
    } catch (error) {
      if (!signal.aborted) failure.textContent = sentenceOf(error);
      button("keep").hidden = !hasModel;
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

  // A model is either: what was picked last.
  for (const [picked, other] of [["files", "folder"], ["folder", "files"]] as const) {
    input(picked).addEventListener("change", () => input(other).value = "");
  }

  const none = obstacle();
  if (none !== undefined) {
    failure.textContent = none;
    button("load").disabled = true;
  }
  try {
    for (const speaker of await servedModels()) servers.set(`server:${speaker.name}`, speaker);
  } catch (error) {
    failure.textContent = sentenceOf(error);
  }
  const [first] = servers.values();
  if (first === undefined) return;
  // Here nothing stands in the way, whatever this browser lacks.
  failure.textContent = "";
  button("load").disabled = false;
  element("choices", HTMLElement).querySelector("legend")!.after(...[...servers.values()].map(choiceOf));
  use(first);
}

/** A choice of the form for a model of the server. */
function choiceOf({ name }: Speaker, index: number): HTMLElement {
  const choice = document.createElement("div");
  choice.className = "choice";
  const radio = document.createElement("input");
  Object.assign(radio, { type: "radio", name: "from", value: `server:${name}`, id: `from-server-${index}` });
  radio.checked = index === 0;
  const label = document.createElement("label");
  label.htmlFor = radio.id;
  const note = document.createElement("span");
  note.textContent = "runs on the server that this page comes from";
  label.append(`${name} `, note);
  choice.append(radio, label);
  return choice;
}

/** What the form says the model comes from. */
function choice(): string {
  return String(new FormData(element("chooser", HTMLFormElement)).get("from"));
}

/** The source that the form names. */
async function chosen(
  onProgress: (share: number) => void,
  signal: AbortSignal,
): Promise<{ source: BrowserSource; name: string }> {
  const from = choice();
  if (from === "bundled") return { source: await fetchBundledModel(onProgress, signal), name: BUNDLED_NAME };
  if (from === "hub") {
    const { value, placeholder } = input("hub-id");
    const id = value.trim() || placeholder;
    return { source: id, name: id };
  }
  const files = [...input("files").files ?? [], ...input("folder").files ?? []];
  const [first] = files;
  if (first === undefined) throw new Error("Choose the files of a model, or its folder, first");
  const folder = first.webkitRelativePath.split("/")[0];
  return { source: files, name: folder || (files.length === 1 ? first.name : "Your files") };
}

function options(): LoadOptions {
  const contextLength = numberIn("context-length");
  return {
    weights: element("weights", HTMLSelectElement).value as NonNullable<LoadOptions["weights"]>,
    kvCache: element("kv-cache", HTMLSelectElement).value as NonNullable<LoadOptions["kvCache"]>,
    ...(contextLength === undefined ? {} : { contextLength }),
  };
}
