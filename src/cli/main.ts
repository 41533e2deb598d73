#!/usr/bin/env -S deno run --allow-read --allow-write --allow-net --allow-env=INIT_CWD,NO_COLOR,DENO_WEBGPU_BACKEND,XDG_RUNTIME_DIR,XDG_CACHE_HOME,HOME,USERPROFILE,HF_*
/**
 * The command line: `skein COMMAND ...`.
 *
 * Results go to stdout, notes and progress to stderr. A failure leaves stdout as it is, ends stderr with one line
 * `skein: ...`, and exits with status 1.
 *
 * @module
 */
import manifest from "../../deno.json" with { type: "json" };
import { chooseBackend, useDawn } from "./backend.ts";
import { list, remove } from "./cached_models.ts";
import { chat } from "./chat.ts";
import { type Command, inOptionNames } from "./command.ts";
import { compare } from "./compare.ts";
import { convert } from "./convert.ts";
import { generate } from "./generate.ts";
import { inspect } from "./inspect.ts";
import { describeOptions, flag, nearestOf, readOptions, UsageError } from "./options.ts";
import { passkey } from "./passkey.ts";
import { perplexity } from "./perplexity.ts";
import { pull } from "./pull.ts";
import { reproduce } from "./reproduce.ts";
import { score } from "./score.ts";
import { serve } from "./serve.ts";
import { Terminal } from "./terminal.ts";
import { detokenize, tokenize } from "./tokenize.ts";

const COMMANDS: Readonly<Record<string, Command>> = {
  generate,
  chat,
  serve,
  score,
  perplexity,
  passkey,
  compare,
  reproduce,
  tokenize,
  detokenize,
  inspect,
  convert,
  pull,
  list,
  remove,
};

/** Exit status of a program that an interrupt ended, as shells have it. */
const INTERRUPTED = 130;

/**
 * Runs one command line.
 *
 * @param args Arguments after the program's name.
 * @returns The exit status.
 */
export async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  const terminal = new Terminal();
  let interrupt = new AbortController();
  const onInterrupt = () => {
    if (interrupt.signal.aborted) Deno.exit(INTERRUPTED);
    interrupt.abort(new DOMException("Interrupted", "AbortError"));
  };
  Deno.addSignalListener("SIGINT", onInterrupt);
  try {
    if (name === undefined || name === "--help" || name === "-h" || name === "help") {
      terminal.write(helpText());
      return 0;
    }
    if (name === "--version" || name === "-V") {
      terminal.write(`skein ${manifest.version}\n`);
      return 0;
    }
    const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name]! : undefined;
    if (command === undefined) {
      const nearest = nearestOf(name, Object.keys(COMMANDS));
      const hint = nearest === undefined
        ? `expected one of ${Object.keys(COMMANDS).join(", ")}`
        : `did you mean ${nearest}`;
      throw new UsageError(`Unknown ${name.startsWith("-") ? "option" : "command"} ${name}: ${hint}`);
    }
    const options = { ...command.options, help: flag("Show this help") };
    const { positionals, values } = readOptions(rest.length === 1 && rest[0] === "-h" ? ["--help"] : rest, options);
    if (values.help) {
      terminal.write(
        `${command.summary}\n\n${`Usage: skein ${name} ${command.usage}`.trimEnd()}\n\n${describeOptions(options)}\n`,
      );
      return 0;
    }
    chooseBackend();
    if ("device" in values && values.device === "dawn") await useDawn();
    await command.run({
      positionals,
      values,
      terminal,
      signal: interrupt.signal,
      renewSignal: () => (interrupt = new AbortController()).signal,
    });
    return 0;
  } catch (error) {
    // Whoever reads the output has seen enough.
    if (error instanceof Deno.errors.BrokenPipe) return 0;
    const message = error instanceof Error ? error.message : String(error);
    terminal.note(inOptionNames(message.replace(/\s*\n\s*/g, " ")));
    return interrupt.signal.aborted ? INTERRUPTED : 1;
  } finally {
    Deno.removeSignalListener("SIGINT", onInterrupt);
  }
}

function helpText(): string {
  const rows = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(12)}${summary}\n`);
  return `Long-context Llama models on WebGPU\n\nUsage: skein COMMAND ...\n\n${rows.join("")}
MODEL is a directory with config.json, a tokenizer and weights, a .gguf file, or a model on the Hugging Face hub.
skein COMMAND --help explains a command; skein --version tells the version.\n`;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
