/**
 * The command line, run as a user runs it.
 *
 * @module
 */

const ROOT = new URL("../../", import.meta.url);

/** What `score --json` prints. */
export interface Scored {
  /** The ids scored. */
  readonly tokens: number[];
  /** ln p of each id but the first, length n - 1. */
  readonly logprobs: number[];
  /** exp(-mean) of `logprobs`. */
  readonly perplexity: number;
}

/** What `generate --json` prints, as far as it is compared. */
export interface Generated {
  /** The completion. */
  readonly text: string;
  /** Its ids, without the stop token. */
  readonly tokens: number[];
  /** Why it ended. */
  readonly finish_reason: "stop" | "length";
}

/** Runs `deno task skein ARGS`; returns what it wrote to stdout. Throws with stderr when it fails. */
export async function skein(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "-q", "skein", ...args],
    cwd: ROOT,
  }).output();
  if (code !== 0) {
    throw new Error(`Cannot run skein ${args.slice(0, 2).join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
  }
  return new TextDecoder().decode(stdout);
}

/** Scores token ids; nothing is added to them. */
export async function score(model: string, tokens: readonly number[], ...options: string[]): Promise<Scored> {
  return JSON.parse(await scoreText(model, tokens, ...options));
}

/** Scores token ids and returns stdout as it is. */
export async function scoreText(model: string, tokens: readonly number[], ...options: string[]): Promise<string> {
  const file = await Deno.makeTempFile({ suffix: ".json" });
  try {
    await Deno.writeTextFile(file, JSON.stringify(tokens));
    return await skein("score", model, "--tokens", file, "--json", ...options);
  } finally {
    await Deno.remove(file);
  }
}

/** Continues a prompt. */
export async function generate(model: string, prompt: string, ...options: string[]): Promise<Generated> {
  return JSON.parse(await skein("generate", model, "--prompt", prompt, "--json", ...options));
}
