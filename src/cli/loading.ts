/**
 * Options that every command about a model shares, and the loading that they steer.
 *
 * @module
 */
import { loadModel, type LoadOptions, type Model, type RopeChoice, Tokenizer } from "../../mod.ts";
import { openCheckpoint } from "../checkpoint/checkpoint.ts";
import { denoSource } from "../checkpoint/deno_source.ts";
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
  "device": choice(["auto", "deno"], "Where to run; auto is Deno's own WebGPU"),
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
  const model = await loadModel(resolvePath(source), {
    ...loadOptions(values),
    signal,
    onProgress: ({ phase, loaded, total }) => {
      const share = total > 0 ? ` ${Math.floor((100 * loaded) / total)}%` : "";
      terminal.progress(`${phase}${share}`);
    },
  });
  const { contextLength, config: { maxPositionEmbeddings }, rope } = model;
  if (contextLength > maxPositionEmbeddings && values["rope-scaling"] === undefined) {
    terminal.note(
      `note: the context length ${contextLength} is over the model's own ${maxPositionEmbeddings} (RoPE scaling ${rope.type})`,
    );
  }
  return model;
}

/** Opens a model's tokenizer alone, which needs no GPU. */
export async function openTokenizer(source: string): Promise<Tokenizer> {
  const files = await denoSource(resolvePath(source));
  try {
    return new Tokenizer(await (await openCheckpoint(files)).tokenizer(), source);
  } finally {
    files.close();
  }
}
