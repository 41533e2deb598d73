/**
 * usage: deno task bench:compare FIRST [SECOND] [--model MODEL] [--rounds 21] [--work-more 1.3] [--json]
 *
 * Sets two commits side by side. Both are loaded into one process and take turns, so that whatever else the machine does
 * falls on both. Says of each workload how many times as long the second takes, within which bounds, and exits with 1
 * where it is slower. SECOND is the working tree unless given. With --work-more the second does that much more work, which
 * shows whether a slowdown of that size would be seen.
 *
 * @module
 */
import { resolvePath } from "../../src/cli/command.ts";
import { flag, integer, number, readOptions, text, UsageError } from "../../src/cli/options.ts";
import { FEWEST_PAIRS, judge, type Verdict } from "./verdict.ts";
import { type Version, workloadsOf } from "./workloads.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const DEMO_MODEL = `${ROOT}tests/testdata/pg-nano-yarn-2k`;
const EXCERPT = `${ROOT}tests/testdata/pg19/keith_of_the_border.txt`;

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

async function compare(
  first: Version,
  second: Version,
  path: string,
  rounds: number,
  workMore: number,
): Promise<Record<string, Verdict>> {
  using a = await first.loadModel(path);
  using b = await second.loadModel(path);
  const verdicts: Record<string, Verdict> = {};
  for (const { name, run } of workloadsOf(await Deno.readTextFile(EXCERPT), a)) {
    const times: [number[], number[]] = [[], []];
    for (let round = -1; round < rounds; round++) {
      // Whoever goes first in a round may find caches warmer or colder: they take turns at that too.
      for (const which of round % 2 === 0 ? [0, 1] as const : [1, 0] as const) {
        const ms = await run(which === 0 ? a : b, which === 0 ? 1 : workMore);
        if (round >= 0) times[which].push(ms);
      }
    }
    verdicts[name] = judge(...times);
  }
  return verdicts;
}

try {
  const { positionals: [first, second], values } = readOptions(Deno.args, {
    "model": text("MODEL", "What to run; default the demo's model"),
    "rounds": integer("Pairs of runs, default 21", { min: FEWEST_PAIRS, max: 1000 }),
    "work-more": number("Let the second do that much more work", { min: 1, max: 10 }),
    "json": flag("Print one JSON document"),
  });
  if (first === undefined) {
    throw new UsageError("Which commit is the first? usage: deno task bench:compare FIRST [SECOND]");
  }
  const folder = await Deno.makeTempDir({ prefix: "skein_compare_" });
  await using _first = await checkOut(first, `${folder}/first`);
  await using _second = second === undefined ? undefined : await checkOut(second, `${folder}/second`);
  const verdicts = await compare(
    await load(`${folder}/first`),
    await load(second === undefined ? ROOT : `${folder}/second`),
    values.model === undefined ? DEMO_MODEL : resolvePath(values.model),
    values.rounds ?? 21,
    values["work-more"] ?? 1,
  );
  if (values.json) console.log(JSON.stringify(verdicts));
  for (const [name, { ratio, interval: [low, high], second }] of values.json ? [] : Object.entries(verdicts)) {
    console.log(
      `${name.padEnd(28)}${ratio.toFixed(3)} times as long (${low.toFixed(3)} to ${high.toFixed(3)}): ${second}`,
    );
  }
  if (Object.values(verdicts).some(({ second }) => second === "slower")) Deno.exitCode = 1;
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`skein: ${error.message}`);
  Deno.exitCode = 1;
}
