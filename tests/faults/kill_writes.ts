/**
 * Kills saves and conversions by SIGKILL at random moments and looks at what they leave:
 * `deno task faults:kill [KILLS] [SEED]`. `tests/hub/kill_pulls.ts` does the same to downloads.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { assert, assertEquals } from "@std/assert";
import { convertModel } from "../../mod.ts";
import { Pcg32 } from "../../src/eval/pcg32.ts";
import { filesBelow } from "../../src/hub/hub_cache.ts";
import { runAndKill } from "./killed_process.ts";

const CHILD = new URL("./killed_write.ts", import.meta.url);

const SOURCE = new URL("../testdata/tiny/gqa_tied", import.meta.url).pathname;

/** What happened. */
export interface KillReport {
  /** Processes that were killed. */
  readonly kills: number;
  /** Of them, those that left something that was not finished. */
  readonly withPart: number;
}

/** Kills processes that replace a session file again and again: it is always one of the two that they write. */
export async function killSaves(kills: number, seed: number): Promise<KillReport> {
  const random = new Pcg32(seed);
  let withPart = 0;
  return await inFolder(async (folder) => {
    for (let killed = 0; killed < kills;) {
      if (await runAndKill(CHILD, ["save", folder], random.integer(0, 400))) continue;
      killed++;
      const names = await filesBelow(folder);
      const [one, other, saved] = await Promise.all(
        ["expected-0", "expected-1", "saved"].map((name) => Deno.readFile(`${folder}/${name}`).catch(() => undefined)),
      );
      assert(one !== undefined && other !== undefined);
      assert(
        saved === undefined || Buffer.compare(saved, one) === 0 || Buffer.compare(saved, other) === 0,
        "A session file is neither old nor new",
      );
      assertEquals(names.filter((name) => !/^(expected-[01]|saved|saved\.part)$/.test(name)), []);
      if (names.includes("saved.part")) withPart++;
    }
    return { kills, withPart };
  });
}

/** Kills conversions: their folder is there whole or not at all, and the last one finishes what the others began. */
export async function killConversions(kills: number, seed: number): Promise<KillReport> {
  const random = new Pcg32(seed);
  let withPart = 0;
  return await inFolder(async (folder) => {
    const { path } = await convertModel(SOURCE, `${folder}/expected`, { weights: "q8", shardBytes: 8000 });
    const expected = await contentOf(path);
    const out = `${folder}/converted`;
    for (let count = 0; count < kills;) {
      const hasEnded = await runAndKill(CHILD, ["convert", folder], random.integer(0, 1500));
      const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
      if (names.includes("converted")) {
        assertEquals([names, await contentOf(out)], [["converted", "expected"], expected]);
        await Deno.remove(out, { recursive: true });
      } else if (names.includes("converted.incomplete")) {
        withPart++;
      }
      if (!hasEnded) count++;
    }
    assert(await runAndKill(CHILD, ["convert", folder], undefined), "The last conversion failed");
    assertEquals(await contentOf(out), expected);
    return { kills, withPart };
  });
}

/** Names and contents of a folder's files. */
async function contentOf(folder: string): Promise<{ name: string; bytes: Uint8Array }[]> {
  const names = await filesBelow(folder);
  return await Promise.all(names.map(async (name) => ({ name, bytes: await Deno.readFile(`${folder}/${name}`) })));
}

async function inFolder<T>(run: (folder: string) => Promise<T>): Promise<T> {
  const folder = await Deno.makeTempDir();
  try {
    return await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) {
  const [kills = "50", seed = "1"] = Deno.args;
  for (const [what, kill] of [["saves", killSaves], ["conversions", killConversions]] as const) {
    const report = await kill(Number(kills), Number(seed));
    console.log(`${report.kills} ${what} killed, ${report.withPart} of them half way; none left half of a file`);
  }
}
