/**
 * Fuzzes what the Rust crates make of untrusted bytes for a while, where a nightly Rust is installed, and tells in a
 * table how many inputs each target took.
 *
 * usage: deno task fuzz [SECONDS [SEED [AT_ONCE [MINUTES [TARGET...]]]]]: 60 seconds of processor time each, seed 1, two
 * at a time, unless given. After MINUTES by the clock it ends, with what it has done by then: on a busy machine,
 * processor time takes long. Targets are taken in the order of their names here, or in wasm/fuzz/Cargo.toml; that of
 * grammars, which takes as long to build as many a run, is left out below a minute.
 *
 * @module
 */
const FOLDER = new URL("../wasm/fuzz/", import.meta.url);
const TARGET = "x86_64-unknown-linux-gnu";

/** The fuzz target of grammars, which is a feature of the crate too. */
const GRAMMAR = "grammar";

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

/** Most processor time that one input may take, in seconds. */
const MOST_SECONDS = 10;

/** Seconds by the clock after which an input is taken for one without end. */
const HANG_SECONDS = 300;

/** What came of one target. */
interface Fuzzed {
  readonly name: string;
  readonly inputs: number;
  /** Processor time of the target in seconds. */
  readonly cpuSeconds: number;
  readonly failures: number;
  /** What it found worth telling that is no failure. */
  readonly notes: ReadonlySet<string>;
}

/** What came of one run of a target's program. */
interface Run {
  readonly isSound: boolean;
  /** What it wrote, for a person. */
  readonly report: string;
  readonly cpuSeconds: number;
}

/** Seconds in what a shell's `times` writes, as in 1m2.34s. */
function secondsOf(text: string): number {
  return [...text.matchAll(/(\d+)m([\d.]+)s/g)].reduce((sum, [, m, s]) => sum + 60 * Number(m) + Number(s), 0);
}

async function runTarget(name: string, args: readonly string[]): Promise<Run> {
  // A process inherits the peak memory of the one that starts it, by which libFuzzer then judges it: a shell between
  // the two, which is small and starts a process of its own, keeps this one's out.
  const { success, stdout, stderr } = await new Deno.Command("sh", {
    args: [
      "-c",
      '"$0" "$@"; status=$?; times; exit $status',
      new URL(`target/${TARGET}/release/${name}`, FOLDER).pathname,
      `-timeout=${HANG_SECONDS}`,
      `-report_slow_units=${MOST_SECONDS}`,
      "-rss_limit_mb=2048",
      `-artifact_prefix=artifacts/${name}-`,
      ...args,
    ],
    cwd: FOLDER,
    stdout: "piped",
    stderr: "piped",
  }).output();
  return {
    isSound: success,
    report: new TextDecoder().decode(stderr),
    // The second line is the time of what the shell has started.
    cpuSeconds: secondsOf(new TextDecoder().decode(stdout).trimEnd().split("\n").at(-1)!),
  };
}

/**
 * Whether the inputs that took too long by the clock take as long of a processor: on a busy machine, any may wait.
 * Those that do not are forgotten.
 */
async function isTooSlow(name: string): Promise<boolean> {
  const artifacts = new URL("artifacts/", FOLDER);
  let found = false;
  for await (const { name: file } of Deno.readDir(artifacts)) {
    if (!file.startsWith(`${name}-slow-unit-`) && !file.startsWith(`${name}-timeout-`)) continue;
    const { isSound, cpuSeconds } = await runTarget(name, [`artifacts/${file}`]);
    if (isSound && cpuSeconds < MOST_SECONDS) await Deno.remove(new URL(file, artifacts));
    else {
      console.error(`${name}: artifacts/${file} takes ${cpuSeconds} s of a processor`);
      found = true;
    }
  }
  return found;
}

/** Fuzzes one target from its seeds, in rounds: libFuzzer knows no other time than the clock's. */
async function fuzz(name: string, seconds: number, seed: number, until: number): Promise<Fuzzed> {
  const corpus = await Deno.makeTempDir({ prefix: `skein_fuzz_${name}_` });
  const exists = (path: string) => Deno.stat(new URL(path, FOLDER)).then(() => true, () => false);
  const folders = [corpus, ...await exists(`seeds/${name}`) ? [`seeds/${name}`] : []];
  const words = await exists(`${name}.dict`) ? [`-dict=${name}.dict`] : [];
  let [inputs, cpuSeconds, failures] = [0, 0, 0];
  const notes = new Set<string>();
  try {
    for (let round = 0; failures === 0 && cpuSeconds <= seconds - 1; round++) {
      const left = Math.ceil(Math.min(seconds - cpuSeconds, (until - Date.now()) / 1000));
      if (left <= 0) break;
      const run = await runTarget(name, [
        `-max_total_time=${left}`,
        // The same inputs in the same order each time, so that a failure is the change's and not chance's.
        `-seed=${seed + round}`,
        "-print_final_stats=1",
        ...words,
        ...folders,
      ]);
      inputs += Number(/number_of_executed_units: +(\d+)/.exec(run.report)?.[1] ?? 0);
      cpuSeconds += run.cpuSeconds;
      for (const [, note] of run.report.matchAll(/^note: (panic: .*)$/gm)) notes.add(note!);
      const isTimeout = run.report.includes("ERROR: libFuzzer: timeout");
      if (await isTooSlow(name) || !run.isSound && !isTimeout) {
        failures++;
        console.error(run.report.split("\n").slice(-40).join("\n"));
      }
    }
    return { name, inputs, cpuSeconds, failures, notes };
  } finally {
    await Deno.remove(corpus, { recursive: true });
  }
}

const counts = Deno.args.slice(0, 4).map((given) => {
  const count = Number(given);
  if (Number.isInteger(count) && count >= 1) return count;
  console.error(`skein: Cannot fuzz by ${JSON.stringify(given)}: expected a whole number of at least 1`);
  Deno.exit(1);
});
const [seconds = 60, seed = 1, atOnce = 2, minutes = 24 * 60] = counts;
const manifest = await Deno.readTextFile(new URL("Cargo.toml", FOLDER));
const targets = [...manifest.matchAll(/\[\[bin\]\]\s*name = "(\w+)"/g)].map(([, name]) => name!);
const unknown = Deno.args.slice(4).find((name) => !targets.includes(name));
if (unknown !== undefined) {
  console.error(`skein: There is no fuzz target ${JSON.stringify(unknown)}: expected ${targets.join(", ")}`);
  Deno.exit(1);
}
const waiting = Deno.args.length > 4 ? Deno.args.slice(4) : targets.filter((name) => seconds >= 60 || name !== GRAMMAR);
if (Deno.build.target !== TARGET || !await succeeds("cargo", ["+nightly", "--version"])) {
  console.error("skein: no nightly Rust for this machine, the parsers are not fuzzed");
  Deno.exit(0);
}
const build = ["+nightly", "build", "--release", "--locked", "--target", TARGET];
if (waiting.includes(GRAMMAR)) build.push("--features", GRAMMAR);
if (!await succeeds("cargo", build, { CARGO_ENCODED_RUSTFLAGS: FLAGS.join("\x1f") })) Deno.exit(1);
await Deno.mkdir(new URL("artifacts", FOLDER), { recursive: true });
const until = Date.now() + 60_000 * minutes;
const fuzzed: Fuzzed[] = [];
async function work(): Promise<void> {
  for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
    fuzzed.push(await fuzz(name, seconds, seed, until));
  }
}
await Promise.all(Array.from({ length: atOnce }, work));
fuzzed.sort((a, b) => a.name.localeCompare(b.name));
console.log("| target | inputs | processor time | |\n| --- | ---: | ---: | --- |");
for (const { name, inputs, cpuSeconds, failures } of fuzzed) {
  const time = cpuSeconds < 100 ? `${Math.round(cpuSeconds)} s` : `${(cpuSeconds / 60).toFixed(1)} min`;
  const outcome = failures > 0 ? "FAILED" : inputs > 0 ? "no crash" : "not begun";
  console.log(`| ${name} | ${inputs.toLocaleString("en")} | ${time} | ${outcome} |`);
}
for (const { name, notes } of fuzzed) for (const note of notes) console.log(`${name}: ended by ${note}`);
Deno.exit(fuzzed.every(({ failures }) => failures === 0) ? 0 : 1);
