/**
 * Fuzzes every parser of the Rust core for a while, where a nightly Rust is installed.
 *
 * usage: deno task fuzz [SECONDS [AT_ONCE]]: 60 seconds each, two at a time, unless given
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

/** Fuzzes one target from its seeds; tells how it ended. */
async function fuzz(name: string, seconds: number): Promise<boolean> {
  const corpus = await Deno.makeTempDir({ prefix: `skein_fuzz_${name}_` });
  const folders = [corpus];
  const seeds = new URL(`seeds/${name}`, FOLDER);
  if (await Deno.stat(seeds).then(({ isDirectory }) => isDirectory, () => false)) folders.push(seeds.pathname);
  try {
    // A process inherits the peak memory of the one that starts it, by which libFuzzer then judges it: a shell between
    // the two, which is small and starts a process of its own, keeps this one's out.
    const { success, stderr } = await new Deno.Command("sh", {
      args: [
        "-c",
        '"$0" "$@"; exit $?',
        new URL(`target/${TARGET}/release/${name}`, FOLDER).pathname,
        `-max_total_time=${seconds}`,
        // The same inputs in the same order each time, so that a failure is the change's and not chance's.
        "-seed=1",
        "-timeout=10",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
        "-artifact_prefix=artifacts/",
        ...folders,
      ],
      cwd: FOLDER,
      stderr: "piped",
    }).output();
    const report = new TextDecoder().decode(stderr);
    const runs = /number_of_executed_units: (\d+)/.exec(report)?.[1] ?? "?";
    console.log(`fuzz ${name}: ${runs} inputs in ${seconds} s, ${success ? "no crash" : "FAILED"}`);
    if (!success) console.log(report.split("\n").slice(-40).join("\n"));
    return success;
  } finally {
    await Deno.remove(corpus, { recursive: true });
  }
}

const [seconds, atOnce] = [Deno.args[0] ?? 60, Deno.args[1] ?? 2].map((given) => {
  const count = Number(given);
  if (Number.isInteger(count) && count >= 1) return count;
  console.error(`skein: Cannot fuzz by ${JSON.stringify(given)}: expected a whole number of at least 1`);
  Deno.exit(1);
}) as [number, number];
if (Deno.build.target !== TARGET || !await succeeds("cargo", ["+nightly", "--version"])) {
  console.error("skein: no nightly Rust for this machine, the parsers are not fuzzed");
  Deno.exit(0);
}
const build = ["+nightly", "build", "--release", "--locked", "--target", TARGET];
if (!await succeeds("cargo", build, { CARGO_ENCODED_RUSTFLAGS: FLAGS.join("\x1f") })) Deno.exit(1);
await Deno.mkdir(new URL("artifacts", FOLDER), { recursive: true });
const manifest = await Deno.readTextFile(new URL("Cargo.toml", FOLDER));
const waiting = [...manifest.matchAll(/\[\[bin\]\]\s*name = "(\w+)"/g)].map(([, name]) => name!);
let failed = 0;
async function work(): Promise<void> {
  for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
    if (!await fuzz(name, seconds)) failed++;
  }
}
await Promise.all(Array.from({ length: atOnce }, work));
Deno.exit(failed === 0 ? 0 : 1);
