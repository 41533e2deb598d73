/**
 * Runs all tests, in two programs at once: much of the time a test waits for the adapter. Prints what the first says as
 * it says it, and then what the second said.
 *
 * usage: deno task test [FILE...]    only these, in one program
 *
 * @module
 */
const OPTIONS = [
  "test",
  "--lock=deno.lock",
  "--frozen",
  "--doc",
  "--no-prompt",
  "--allow-read",
  "--allow-write",
  "--allow-sys=statfs",
  "--allow-env",
  "--allow-net=127.0.0.1",
  "--allow-run=deno",
];

/** Folders that take about half of the time. All else is the other half's, so that no test is in neither. */
const HALF = ["tests/api", "tests/faults", "tests/model", "tests/server"];

function start(
  options: readonly string[],
  stdout: "inherit" | "piped",
  stderr: "inherit" | "piped",
): Deno.ChildProcess {
  return new Deno.Command("deno", { args: [...OPTIONS, ...options], stdout, stderr }).spawn();
}

if (Deno.args.length > 0) {
  const { code } = await start(Deno.args, "inherit", "inherit").status;
  Deno.exit(code);
}
const first = start([`--ignore=${HALF.join(",")}`], "inherit", "inherit");
const second = start(HALF, "piped", "piped").output();
const { success } = await first.status;
const { success: succeeded, stdout, stderr } = await second;
for (const bytes of [stdout, stderr]) {
  await new Blob([bytes]).stream().pipeTo(Deno.stdout.writable, { preventClose: true });
}
Deno.exit(success && succeeded ? 0 : 1);
