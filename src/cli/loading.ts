/**
 * Options that every command about a model shares, and the loading that they steer.
 *
 * @module
 */
import {
  type ConversionProgress,
  type DownloadProgress,
  loadModel,
  type LoadOptions,
  type LoadProgress,
  type Model,
  type RopeChoice,
  Tokenizer,
} from "../../mod.ts";
import { openCheckpoint } from "../checkpoint/checkpoint.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import { isOnDisk, openNamedModel } from "../api/named_model.ts";
import { parseModelId } from "../hub/model_id.ts";
import { DEVICES } from "./backend.ts";
import { resolvePath } from "./command.ts";
import { bytes, choice, flag, integer, type Option, UsageError, type Values } from "./options.ts";
import type { Terminal } from "./terminal.ts";

/** A RoPE scaling as the library takes it: "none", or the dictionary that config.json would have. */
export function readRopeChoice(option: string, value: string): RopeChoice {
  if (value === "none") return "none";
  if (value.trimStart().startsWith("{")) {
    try {
      return JSON.parse(value);
    } catch (cause) {
      throw new UsageError(`Cannot use ${option} ${JSON.stringify(value)}: ${(cause as Error).message}`, { cause });
    }
  }
  const [, kind, factor] = /^([a-z0-9_-]+):(\d+(?:\.\d+)?)$/.exec(value) ?? [];
  if (kind === undefined || !(Number(factor) > 0)) {
    throw new UsageError(
      `Cannot use ${option} ${
        JSON.stringify(value)
      }: expected none, a kind with its factor such as yarn:8, or a JSON object`,
    );
  }
  return { rope_type: kind, factor: Number(factor) };
}

/** `--rope-scaling`. */
const ropeScaling: Option<RopeChoice | undefined> = {
  placeholder: "KIND:FACTOR|JSON",
  help: "RoPE scaling in place of the model's own: none, linear:8, yarn:8, or config.json's object",
  read: (option, [value]) => value === undefined ? undefined : readRopeChoice(option, value),
};

/** `--json`, the same everywhere. */
export const jsonOption = flag("Print one JSON document on stdout");

/** Options of every command that loads a model or plans to. */
export const modelOptions = {
  "weights": choice(["auto", "f32", "f16", "q8", "q4"], "Storage of the weights; auto keeps the file's own precision"),
  "kv-cache": choice(
    ["auto", "f32", "f16", "q8", "q4"],
    "Storage of keys and values; auto is f32 with f32 weights, else f16",
  ),
  "context-length": integer("Most tokens of prompt and completion; may exceed the model's own", {
    min: 1,
    max: 2 ** 30,
  }),
  "rope-scaling": ropeScaling,
  "memory-limit": bytes("Refuse a model that takes more GPU memory than this"),
  "device": choice(DEVICES, "Whose WebGPU to run on; auto is Deno's own"),
  "json": jsonOption,
};

/** The library's options for what the user asked. */
export function loadOptions(values: Values<typeof modelOptions>): LoadOptions {
  return {
    ...given("weights", values.weights),
    ...given("kvCache", values["kv-cache"]),
    ...given("contextLength", values["context-length"]),
    ...given("ropeScaling", values["rope-scaling"]),
    ...given("memoryLimit", values["memory-limit"]),
  };
}

/** A property that is there only where it has a value, as exact optional properties want it. */
export function given<K extends string, T>(key: K, value: T | undefined): { [P in K]?: T } {
  return value === undefined ? {} : { [key]: value } as { [P in K]: T };
}

/** Loads the model that a command names. */
export async function openModel(
  source: string,
  values: Values<typeof modelOptions>,
  { terminal, signal }: { terminal: Terminal; signal: AbortSignal },
): Promise<Model> {
  const resolved = await resolveModel(source);
  // Where `resolveModel` leaves an id alone it is no path.
  if (parseModelId(resolved) !== undefined) terminal.progress(`no folder ${source} here, asking the hub`);
  const model = await loadModel(resolved, {
    ...loadOptions(values),
    signal,
    onProgress: (progress) => terminal.progress(describeProgress(progress)),
  });
  const { contextLength, config: { maxPositionEmbeddings }, rope } = model;
  if (contextLength > maxPositionEmbeddings && values["rope-scaling"] === undefined) {
    terminal.note(
      `note: the context length ${contextLength} is over the model's own ${maxPositionEmbeddings} (RoPE scaling ${rope.type})`,
    );
  }
  return model;
}

/** A MODEL argument as the library takes it: what is not on disk may be a model's id, or an address. */
export async function resolveModel(source: string): Promise<string> {
  if (/^https?:\/\//i.test(source)) return source;
  const path = resolvePath(source);
  return parseModelId(source) === undefined || await isOnDisk(path) ? path : source;
}

/** The files of a MODEL argument, of which little will be read. */
export async function openSource(source: string): Promise<ModelSource> {
  return await openNamedModel(await resolveModel(source), { headersOnly: true });
}

/** How far a load is, in one line. */
export function describeProgress(progress: LoadProgress | DownloadProgress | ConversionProgress): string {
  const { phase, loaded, total } = progress;
  const share = total > 0 ? ` ${Math.floor((100 * loaded) / total)}%` : "";
  if (phase !== "download") return `${phase}${share}`;
  const { bytesPerSecond, secondsLeft, file } = progress;
  const pace = bytesPerSecond === undefined || secondsLeft === undefined
    ? ""
    : `, ${decimalUnits(bytesPerSecond)}/s, ${clock(secondsLeft)} left`;
  return `download${share} of ${decimalUnits(total)}${pace}: ${file}`;
}

/** Bytes as downloads are measured: 13.5 GB. */
export function decimalUnits(count: number): string {
  const unit = count >= 1e9 ? 3 : count >= 1e6 ? 2 : count >= 1e3 ? 1 : 0;
  return `${unit === 0 ? Math.round(count) : (count / 1000 ** unit).toFixed(1)} ${["B", "kB", "MB", "GB"][unit]}`;
}

/** Seconds as 0:07, 12:34 or 1:02:03. */
function clock(seconds: number): string {
  const whole = Math.ceil(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const shown = parts[0] === 0 ? parts.slice(1) : parts;
  return shown.map((part, i) => i === 0 ? String(part) : String(part).padStart(2, "0")).join(":");
}

/** Opens a model's tokenizer alone, which needs no GPU. */
export async function openTokenizer(source: string): Promise<Tokenizer> {
  const files = await openSource(source);
  try {
    return new Tokenizer(await (await openCheckpoint(files)).tokenizer(), source);
  } finally {
    files.close();
  }
}
