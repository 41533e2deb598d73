/**
 * Runs a program of the tests in a process of its own and kills it.
 *
 * @module
 */
import { assert } from "@std/assert";

/**
 * Runs a program that prints a line when it begins what is to be interrupted.
 *
 * @param program Its file.
 * @param args Its arguments.
 * @param killAfterMs Milliseconds from that line to a SIGKILL; undefined lets it live.
 * @returns Whether it ended before it was killed.
 */
export async function runAndKill(
  program: URL,
  args: readonly string[],
  killAfterMs: number | undefined,
): Promise<boolean> {
  const child = new Deno.Command("deno", {
    args: ["run", "-q", "--no-check", "--no-prompt", "-RWEN", program.pathname, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  const timer = killAfterMs === undefined ? undefined : setTimeout(() => {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has just ended by itself.
    }
  }, killAfterMs);
  const { success, signal } = await child.status;
  clearTimeout(timer);
  await reader.cancel();
  assert(success || signal === "SIGKILL", `${program.pathname} failed`);
  return success;
}
