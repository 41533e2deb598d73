/**
 * Runs the command line as a process of its own.
 *
 * @module
 */

/** The demo's model. */
export const PG_NANO: string = new URL("../testdata/pg-nano-yarn-2k", import.meta.url).pathname;

const MAIN = new URL("../../src/cli/main.ts", import.meta.url).pathname;
const PERMISSIONS = [
  "--allow-read",
  "--allow-write",
  "--allow-net=127.0.0.1",
  "--allow-env=INIT_CWD,NO_COLOR,DENO_WEBGPU_BACKEND,XDG_RUNTIME_DIR,XDG_CACHE_HOME,HOME,USERPROFILE,HF_*",
];

/** What a finished process left behind. */
export interface Finished {
  /** Exit status. */
  readonly code: number;
  /** All of stdout. */
  readonly stdout: string;
  /** All of stderr. */
  readonly stderr: string;
}

/** How to start a process. */
export interface ProcessOptions {
  /** Environment on top of the tests' own. */
  readonly env?: Record<string, string>;
  /** Everything that it reads from stdin. Default nothing. */
  readonly stdin?: string;
}

/** Starts `skein` with all streams piped. */
export function startSkein(args: readonly string[], env: Record<string, string> = {}): Deno.ChildProcess {
  return new Deno.Command("deno", {
    args: ["run", "-q", "--no-prompt", ...PERMISSIONS, MAIN, ...args],
    env: { NO_COLOR: "1", ...env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Runs `skein` to its end. */
export async function skein(args: readonly string[], { env = {}, stdin = "" }: ProcessOptions = {}): Promise<Finished> {
  const process = startSkein(args, env);
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode(stdin)).catch(() => {});
  await writer.close().catch(() => {});
  const { code, stdout, stderr } = await process.output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

/** The last line of stderr without its end. */
export function lastLine({ stderr }: Finished): string {
  return stderr.trimEnd().split("\n").at(-1)!;
}
