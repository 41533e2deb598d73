/**
 * Kills pulls by SIGKILL at random moments and looks at what they leave: `deno task hub:kill [KILLS] [SEED]`.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { Pcg32 } from "../../src/eval/pcg32.ts";
import { absent, filesBelow, ModelCache } from "../../src/hub/hub_cache.ts";
import { parseModelId } from "../../src/hub/model_id.ts";
import { runAndKill } from "../faults/killed_process.ts";
import { hashesOf, type LocalHub, startHub, tinyFiles } from "./local_hub.ts";

/** What happened. */
export interface KillReport {
  /** Processes that were killed. */
  readonly kills: number;
  /** Of them, those that left a part of a content. */
  readonly withPart: number;
  /** Downloads that ended whole, each after as many kills as chance gave it. */
  readonly downloads: number;
  /** Bytes that processes found and did not fetch again. */
  readonly resumedBytes: number;
}

const CHILD = new URL("./killed_pull.ts", import.meta.url);

/** Longest time until a kill, in ms: about what a whole download takes. */
const LONGEST_MS = 700;

/**
 * Kills `kills` processes, checks after each that no content under its final name is anything but whole, and that a
 * model that counts as complete is; then that a process which lives goes on from there to the right bytes.
 *
 * @param kills How many.
 * @param seed Of the moments.
 */
export async function killPulls(kills: number, seed: number): Promise<KillReport> {
  const random = new Pcg32(seed);
  const hub = startHub(tinyFiles(1_500_000), { redirects: true, pieceMs: 15 });
  let cache = await Deno.makeTempDir();
  let killed = 0;
  let withPart = 0;
  let downloads = 0;
  let resumedBytes = 0;
  try {
    while (killed < kills) {
      const left = await inspect(hub, cache);
      resumedBytes += left.bytes;
      if (await runAndKill(CHILD, [hub.endpoint, cache], random.integer(0, LONGEST_MS))) {
        assert((await inspect(hub, cache)).isComplete, "A pull ended and the model is not complete");
        downloads++;
        await Deno.remove(cache, { recursive: true });
        cache = await Deno.makeTempDir();
      } else {
        killed++;
        if ((await inspect(hub, cache)).hasPart) withPart++;
      }
    }
    hub.faults = { redirects: true };
    assert(await runAndKill(CHILD, [hub.endpoint, cache], undefined), "The last pull failed");
    assert((await inspect(hub, cache)).isComplete);
    return { kills: killed, withPart, downloads: downloads + 1, resumedBytes };
  } finally {
    await hub.close();
    await Deno.remove(cache, { recursive: true });
  }
}

/** Checks all that a cache holds. */
async function inspect(
  hub: LocalHub,
  cache: string,
): Promise<{ isComplete: boolean; hasPart: boolean; bytes: number }> {
  const model = new ModelCache(cache, "org/tiny");
  const contents = new Map([...hub.files.values()].flatMap((bytes) => {
    const { sha256, blobId } = hashesOf(bytes);
    return [[sha256, bytes], [blobId, bytes]] as const;
  }));
  let hasPart = false;
  let total = 0;
  for (const name of await filesBelow(`${model.folder}/blobs`)) {
    const bytes = await Deno.readFile(`${model.folder}/blobs/${name}`);
    const whole = contents.get(name.replace(".incomplete", ""))!;
    total += bytes.length;
    if (name.endsWith(".incomplete")) {
      hasPart ||= bytes.length > 0;
      assertEquals(hashesOf(bytes), hashesOf(whole.subarray(0, bytes.length)), `${name} is no beginning`);
    } else {
      const { sha256, blobId } = hashesOf(bytes);
      assert(name === sha256 || name === blobId, `${name} is not what it is called`);
    }
  }
  const id = parseModelId("org/tiny")!;
  const commit = await model.commitOf("main");
  const path = await model.completeModel(id, hub.commit);
  assert(commit === undefined || path !== undefined, "main stands for a model that is not complete");
  if (path !== undefined) {
    for (const name of await filesBelow(path)) {
      const bytes = await Deno.readFile(`${path}/${name}`).catch(absent);
      if (!name.endsWith(".incomplete")) assertEquals(bytes, hub.files.get(name), name);
    }
  }
  return { isComplete: commit !== undefined, hasPart, bytes: total };
}

if (import.meta.main) {
  const [kills = "50", seed = "1"] = Deno.args;
  const report = await killPulls(Number(kills), Number(seed));
  console.log(
    `${report.kills} pulls killed, ${report.withPart} of them within a content; ${report.downloads} downloads ended ` +
      `with the right bytes; ${report.resumedBytes} bytes were not fetched again`,
  );
}
