/**
 * `serve` as a process of its own, for what looks at it from outside.
 *
 * @module
 */
import { startSkein } from "../cli/skein_process.ts";

/** A process that serves. */
export interface ServedProcess extends AsyncDisposable {
  /** Where it listens. */
  readonly url: string;
  /** The process. */
  readonly process: Deno.ChildProcess;
  /** Everything that it has written to stdout. */
  stdout(): string;
  /** Everything that it has written to stderr, which has its log. */
  log(): string;
  /** Asks it to end, as a supervisor does, and waits until it has; gives its exit status. */
  stop(): Promise<number>;
}

/**
 * Starts `skein serve` on a free port, and waits until it listens.
 *
 * @param args What follows `serve`.
 * @throws {Error} If it ends before, with what it wrote.
 */
export async function startServed(args: readonly string[]): Promise<ServedProcess> {
  const process = startSkein(["serve", ...args, "--port", "0"]);
  await process.stdin.close();
  let stdout = "";
  let log = "";
  const listening = Promise.withResolvers<string>();
  const readStdout = async () => {
    for await (const text of process.stdout.pipeThrough(new TextDecoderStream())) stdout += text;
  };
  const readLog = async () => {
    for await (const text of process.stderr.pipeThrough(new TextDecoderStream())) {
      log += text;
      const [, url] = /listening on (http:\S+) for/.exec(log) ?? [];
      if (url !== undefined) listening.resolve(url);
    }
  };
  const ended = Promise.all([process.status, readStdout(), readLog()]).then(([{ code }]) => {
    listening.reject(new Error(`serve ended with status ${code}: ${log}`));
    return code;
  });
  let isStopped = false;
  const stop = () => {
    if (!isStopped) process.kill("SIGTERM");
    isStopped = true;
    return ended;
  };
  return {
    url: await listening.promise,
    process,
    stdout: () => stdout,
    log: () => log,
    stop,
    [Symbol.asyncDispose]: async () => void await stop(),
  };
}
