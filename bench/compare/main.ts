/**
 * usage: deno task bench:compare FIRST [SECOND] [--model MODEL] [--rounds 21] [--work-more 1.3] [--json]
 *        deno task bench:compare COMMIT --prove 5 [--model MODEL] [--rounds 21]
 *
 * Sets two commits side by side. Both are loaded into one process and take turns, so that whatever else the machine does
 * falls on both. Says of each workload how many times as long the second takes, within which bounds, and exits with 1
 * where it is slower. SECOND is the working tree unless given. With --work-more the second does that much more work, which
 * shows whether a slowdown of that size would be seen. With --prove a commit is compared with itself that many times, doing
 * the same and 1.3 times as much: exits with 1 unless every slowdown was flagged, and nothing else.
 *
 * @module
 */
import type { Model } from "../../mod.ts";
import { resolvePath } from "../../src/cli/command.ts";
import { flag, integer, number, readOptions, text, UsageError } from "../../src/cli/options.ts";
import { FEWEST_PAIRS, isClear, judge, type Verdict } from "./verdict.ts";
import { type Version, workloadsOf } from "./workloads.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const DEMO_MODEL = `${ROOT}tests/testdata/pg-nano-yarn-2k`;
/** How many times as many pairs are run at most, on a machine where the first ones do not tell. */
const MOST_TIMES = 5;

/** How much more work `--prove` does to be seen. */
const SLOWDOWN = 1.3;
const EXCERPT = `${ROOT}tests/testdata/pg19/keith_of_the_border.txt`;

/** Verdicts by workload. */
type Verdicts = Record<string, Verdict>;

async function git(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("git", { args: ["-C", ROOT, ...args], stderr: "piped" }).output();
  if (!success) throw new UsageError(`git ${args[0]} failed: ${new TextDecoder().decode(stderr).trim()}`);
}

/** Checks a commit out beside the working tree, until the end. */
async function checkOut(commit: string, folder: string): Promise<AsyncDisposable> {
  await git("worktree", "add", "--detach", folder, commit);
  return { [Symbol.asyncDispose]: () => git("worktree", "remove", "--force", folder) };
}

async function load(root: string): Promise<Version> {
  return await import(new URL(`${root}/mod.ts`, "file:///").href);
}

/** Compares the first with the second, which does `share` times the work. */
async function compare(a: Model, b: Model, rounds: number, share: number): Promise<Verdicts> {
  const verdicts: Verdicts = {};
  for (const { name, run } of workloadsOf(await Deno.readTextFile(EXCERPT), a)) {
    const times: [number[], number[]] = [[], []];
    for (let round = -1; round < MOST_TIMES * rounds; round++) {
      if (round > 0 && round % rounds === 0 && isClear(judge(...times))) break;
      // Whoever goes first in a round, or follows itself, may find caches warmer: they take turns at that too.
      for (const which of round % 2 === 0 ? [0, 1] as const : [1, 0] as const) {
        const ms = await run(which === 0 ? a : b, which === 0 ? 1 : share);
        if (round >= 0) times[which].push(ms);
      }
    }
    verdicts[name] = judge(...times);
  }
  return verdicts;
}

/** Whether a slowdown is flagged each time, and nothing where there is none. */
async function prove(a: Model, b: Model, rounds: number, times: number): Promise<boolean> {
  let isProved = true;
  for (let time = 1; time <= times; time++) {
    for (const [share, expected] of [[1, "same"], [SLOWDOWN, "slower"]] as const) {
      const verdicts = await compare(a, b, rounds, share);
      console.log(`${time} of ${times}, ${share} times the work\n${table(verdicts)}`);
      isProved &&= Object.values(verdicts).every(({ second }) => second === expected);
    }
  }
  return isProved;
}

function table(verdicts: Verdicts): string {
  return Object.entries(verdicts).map(([name, { ratio, interval: [low, high], second }]) =>
    `  ${name.padEnd(26)}${ratio.toFixed(3)} times as long (${low.toFixed(3)} to ${high.toFixed(3)}): ${second}\n`
  ).join("");
}

try {
  const { positionals: [first, second], values } = readOptions(Deno.args, {
    "model": text("MODEL", "What to run; default the demo's model"),
    "rounds": integer("Pairs of runs, default 21; up to 5 times as many where those do not tell", {
      min: FEWEST_PAIRS,
      max: 1000,
    }),
    "work-more": number("Let the second do that much more work", { min: 1, max: 10 }),
    "prove": integer("Compare a commit with itself that often, and with itself slowed down", { min: 1, max: 100 }),
    "json": flag("Print one JSON document"),
  });
  if (first === undefined) {
    throw new UsageError("Which commit is the first? usage: deno task bench:compare FIRST [SECOND]");
  }
  if (values.prove !== undefined && second !== undefined) {
    throw new UsageError(`Cannot use --prove with a second commit, ${second}: it compares the first with itself`);
  }
  const folder = await Deno.makeTempDir({ prefix: "skein_compare_" });
  await using _first = await checkOut(first, `${folder}/first`);
  const other = values.prove === undefined ? second : first;
  await using _second = other === undefined ? undefined : await checkOut(other, `${folder}/second`);
  const path = values.model === undefined ? DEMO_MODEL : resolvePath(values.model);
  using a = await (await load(`${folder}/first`)).loadModel(path);
  using b = await (await load(other === undefined ? ROOT : `${folder}/second`)).loadModel(path);
  const { rounds = 21, prove: times } = values;
  if (times !== undefined) {
    const isProved = await prove(a, b, rounds, times);
    console.log(isProved ? "every slowdown was flagged, and nothing else" : "not every verdict was right");
    if (!isProved) Deno.exitCode = 1;
  } else {
    const verdicts = await compare(a, b, rounds, values["work-more"] ?? 1);
    console.log(values.json ? JSON.stringify(verdicts) : table(verdicts).trimEnd());
    if (Object.values(verdicts).some(({ second }) => second === "slower")) Deno.exitCode = 1;
  }
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`skein: ${error.message}`);
  Deno.exitCode = 1;
}
