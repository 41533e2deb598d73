/**
 * Fuzzes every parser of the Rust core for a while, where a nightly Rust is installed, and tells in a table how many
 * inputs each took.
 *
 * usage: deno task fuzz [SECONDS [SEED [AT_ONCE]]]: 60 seconds of processor time each, seed 1, two at a time, unless
 * given
 *
 * @module
 */
const FOLDER = new URL("../wasm/fuzz/", import.meta.url);
const TARGET = "x86_64-unknown-linux-gnu";

/** What cargo-fuzz passes to the compiler; the core has no unsafe code, so that no address sanitizer is needed. */
const FLAGS = [
  "-Cpasses=sancov-module",
  "-Cllvm-args=-sanitizer-coverage-level=4",
  "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
  "-Cllvm-args=-sanitizer-coverage-pc-table",
  "-Cllvm-args=-sanitizer-coverage-trace-compares",
  "-Ccodegen-units=1",
  "-Cdebug-assertions",
  "--cfg=fuzzing",
];

async function succeeds(command: string, args: string[], env: Record<string, string> = {}): Promise<boolean> {
  try {
    return (await new Deno.Command(command, { args, env, cwd: FOLDER }).spawn().status).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** What came of one target. */
interface Fuzzed {
  readonly name: string;
  readonly inputs: number;
  /** Processor time of the target in seconds. */
  readonly cpuSeconds: number;
  /** The longest that one input took, in whole seconds. */
  readonly slowestSeconds: number;
  readonly isSound: boolean;
}

/** Seconds in what a shell's `times` writes, as in 1m2.34s. */
function secondsOf(text: string): number {
  return [...text.matchAll(/(\d+)m([\d.]+)s/g)].reduce((sum, [, m, s]) => sum + 60 * Number(m) + Number(s), 0);
}

/** Fuzzes one target from its seeds, in rounds: libFuzzer knows no other time than the clock's. */
async function fuzz(name: string, seconds: number, seed: number): Promise<Fuzzed> {
  const corpus = await Deno.makeTempDir({ prefix: `skein_fuzz_${name}_` });
  const folders = [corpus];
  const seeds = new URL(`seeds/${name}`, FOLDER);
  if (await Deno.stat(seeds).then(({ isDirectory }) => isDirectory, () => false)) folders.push(seeds.pathname);
  let inputs = 0;
  let cpuSeconds = 0;
  let slowestSeconds = 0;
  let isSound = true;
  try {
    for (let round = 0; isSound && cpuSeconds <= seconds - 1; round++) {
      // A process inherits the peak memory of the one that starts it, by which libFuzzer then judges it: a shell between
      // the two, which is small and starts a process of its own, keeps this one's out.
      const { success, stdout, stderr } = await new Deno.Command("sh", {
        args: [
          "-c",
          '"$0" "$@"; status=$?; times; exit $status',
          new URL(`target/${TARGET}/release/${name}`, FOLDER).pathname,
          `-max_total_time=${Math.ceil(seconds - cpuSeconds)}`,
          // The same inputs in the same order each time, so that a failure is the change's and not chance's.
          `-seed=${seed + round}`,
          "-timeout=10",
          "-rss_limit_mb=2048",
          "-print_final_stats=1",
          "-artifact_prefix=artifacts/",
          ...folders,
        ],
        cwd: FOLDER,
        stdout: "piped",
        stderr: "piped",
      }).output();
      const report = new TextDecoder().decode(stderr);
      const statistic = (key: string) => Number(new RegExp(`${key}: +(\\d+)`).exec(report)?.[1] ?? 0);
      inputs += statistic("number_of_executed_units");
      slowestSeconds = Math.max(slowestSeconds, statistic("slowest_unit_time_sec"));
      // The second line is the time of what the shell has started.
      cpuSeconds += secondsOf(new TextDecoder().decode(stdout).trimEnd().split("\n").at(-1)!);
      isSound = success;
      if (!success) console.log(report.split("\n").slice(-40).join("\n"));
    }
    return { name, inputs, cpuSeconds, slowestSeconds, isSound };
  } finally {
    await Deno.remove(corpus, { recursive: true });
  }
}

const [seconds, seed, atOnce] = [Deno.args[0] ?? 60, Deno.args[1] ?? 1, Deno.args[2] ?? 2].map((given) => {
  const count = Number(given);
  if (Number.isInteger(count) && count >= 1) return count;
  console.error(`skein: Cannot fuzz by ${JSON.stringify(given)}: expected a whole number of at least 1`);
  Deno.exit(1);
}) as [number, number, number];
if (Deno.build.target !== TARGET || !await succeeds("cargo", ["+nightly", "--version"])) {
  console.error("skein: no nightly Rust for this machine, the parsers are not fuzzed");
  Deno.exit(0);
}
const build = ["+nightly", "build", "--release", "--locked", "--target", TARGET];
if (!await succeeds("cargo", build, { CARGO_ENCODED_RUSTFLAGS: FLAGS.join("\x1f") })) Deno.exit(1);
await Deno.mkdir(new URL("artifacts", FOLDER), { recursive: true });
const manifest = await Deno.readTextFile(new URL("Cargo.toml", FOLDER));
const waiting = [...manifest.matchAll(/\[\[bin\]\]\s*name = "(\w+)"/g)].map(([, name]) => name!);
const fuzzed: Fuzzed[] = [];
async function work(): Promise<void> {
  for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
    fuzzed.push(await fuzz(name, seconds, seed));
  }
}
await Promise.all(Array.from({ length: atOnce }, work));
fuzzed.sort((a, b) => a.name.localeCompare(b.name));
console.log("| parser | inputs | processor time | slowest input | |\n| --- | ---: | ---: | ---: | --- |");
for (const { name, inputs, cpuSeconds, slowestSeconds, isSound } of fuzzed) {
  const cells = [
    name,
    inputs.toLocaleString("en"),
    `${Math.round(cpuSeconds)} s`,
    slowestSeconds === 0 ? "under 1 s" : `${slowestSeconds} s`,
    isSound ? "no crash" : "FAILED",
  ];
  console.log(`| ${cells.join(" | ")} |`);
}
Deno.exit(fuzzed.every(({ isSound }) => isSound) ? 0 : 1);
