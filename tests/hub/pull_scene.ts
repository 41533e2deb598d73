/**
 * A hub, an empty cache, and pulls between them.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import type { HubEnvironment } from "../../src/hub/hub_environment.ts";
import { parseModelId } from "../../src/hub/model_id.ts";
import { type PulledModel, pullModel, type PullOptions } from "../../src/hub/pull.ts";
import { hashesOf, type HubFaults, type LocalHub, startHub, tinyFiles } from "./local_hub.ts";

const QUICK = { attempts: 4, firstDelayMs: 1, stallMs: 20_000 };
/** Folder of the model in the cache. */
export const FOLDER = "models--org--tiny";
/** The larger of its weight files. */
export const WEIGHTS = "model-00001-of-00002.safetensors";
const READ = [
  "config.json",
  "model-00001-of-00002.safetensors",
  "model-00002-of-00002.safetensors",
  "model.safetensors.index.json",
  "tokenizer.json",
  "tokenizer_config.json",
];

/** A hub, an empty cache, and pulls between them. */
export interface Scene {
  readonly hub: LocalHub;
  readonly cache: string;
  pull(id?: string, options?: PullOptions & Partial<HubEnvironment>): Promise<PulledModel>;
}

/** Plays a scene with a hub that has these faults and files. */
export async function scene(
  faults: HubFaults,
  play: (scene: Scene) => Promise<void>,
  files: ReadonlyMap<string, Uint8Array<ArrayBuffer>> = tinyFiles(),
): Promise<void> {
  const hub = startHub(files, faults);
  const cache = await Deno.makeTempDir();
  try {
    await play({
      hub,
      cache,
      pull: (id = "org/tiny", { token, isOffline = false, endpoint = hub.endpoint, retry = QUICK, ...options } = {}) =>
        pullModel(parseModelId(id)!, { endpoint, token, isOffline, cache, retry }, {
          segmentBytes: 32_768,
          ...options,
        }),
    });
  } finally {
    await hub.close();
    await Deno.remove(cache, { recursive: true });
  }
}

/** All files of the pulled model have the hub's bytes. */
export async function assertWhole(hub: LocalHub, { path }: PulledModel): Promise<void> {
  const names = [...Deno.readDirSync(path)].map(({ name }) => name).sort();
  assertEquals(names, READ);
  for (const name of names) assertEquals(await Deno.readFile(`${path}/${name}`), hub.files.get(name)!, name);
}

/** Names of all contents, parts included. */
export const blobs = (cache: string): string[] =>
  [...Deno.readDirSync(`${cache}/${FOLDER}/blobs`)].map(({ name }) => name).sort();

/** Every content under its final name is what the name says. */
export async function assertNoPartialBlob(hub: LocalHub, cache: string): Promise<void> {
  const hashes = [...hub.files.values()].map((bytes) => hashesOf(bytes));
  for (const name of blobs(cache).filter((name) => !name.endsWith(".incomplete"))) {
    const { sha256, blobId } = hashesOf(await Deno.readFile(`${cache}/${FOLDER}/blobs/${name}`));
    assert(name === sha256 || name === blobId, name);
    assert(hashes.some((known) => known.sha256 === sha256));
  }
}
