/**
 * `skein passkey`: finds a number hidden in filler, by context length.
 *
 * @module
 */
import {
  ANSWER_TOKENS,
  passkey as ask,
  type PasskeyAnswer,
  type PasskeyTrial,
  passkeyTrials,
} from "../eval/passkey.ts";
import { passkeyCsv } from "../eval/report.ts";
import { type Command, defineCommand, expectPositionals, readJsonFile } from "./command.ts";
import { duration } from "./evaluation_output.ts";
import { defaultLengths, lengthsOption } from "./lengths.ts";
import { modelOptions, openModel } from "./loading.ts";
import { integer, text, UsageError } from "./options.ts";
import { alignedTable } from "./table.ts";
import { WholeFile } from "./whole_file.ts";

const options = {
  "lengths": lengthsOption,
  "depths": integer("Put the key at N evenly spaced depths; random ones unless given", { min: 1, max: 1000 }),
  "iterations": integer("Keys for each length, or each depth of it; 20 unless given, 1 with --depths", {
    min: 1,
    max: 10000,
  }),
  "seed": integer("Seed of keys and depths, 0 unless given", { min: 0, max: Number.MAX_SAFE_INTEGER }),
  "trials": text("FILE", "Replay a JSON file of trials, [{length, key, depth, filler_characters}]"),
  "csv": text("FILE", "Write the answers as CSV"),
  ...modelOptions,
};

/** The command. */
export const passkey: Command = defineCommand({
  summary: "Find a number hidden in filler, by context length",
  usage: "MODEL",
  options,
  run: async ({ positionals, values, terminal, signal }) => {
    const [source] = expectPositionals(positionals, ["MODEL"]) as [string];
    const { lengths, depths, seed = 0, trials: file } = values;
    const iterations = values.iterations ?? (depths === undefined ? 20 : 1);
    if (file !== undefined && [depths, values.iterations, values.seed].some((value) => value !== undefined)) {
      throw new UsageError("Cannot use --trials with --depths, --iterations or --seed: it names every trial");
    }
    const csv = values.csv === undefined ? undefined : await WholeFile.at("--csv", values.csv);
    const listed = file === undefined ? undefined : readTrials(file, await readJsonFile("--trials", file), lengths);
    const wanted = listed?.map(({ contextLength }) => contextLength) ?? lengths;
    // The key is found after the prompt, so that the answer needs room too.
    const contextLength = values["context-length"] ??
      (wanted === undefined ? undefined : Math.max(...wanted) + ANSWER_TOKENS);
    using model = await openModel(source, { ...values, "context-length": contextLength }, { terminal, signal });
    const trials = listed ?? passkeyTrials(model.tokenizer, {
      lengths: lengths ?? defaultLengths(model.contextLength - ANSWER_TOKENS),
      iterations,
      seed,
      ...(depths === undefined ? {} : { depths }),
    });
    const started = performance.now();
    let done = 0;
    const total = trials.reduce((sum, trial) => sum + trial.contextLength, 0);
    const answers = await ask(model, trials, {
      signal,
      onAnswer: (answer) => {
        done += answer.contextLength;
        const left = duration((performance.now() - started) / 1000 / done * (total - done));
        terminal.progress(`passkey at ${answer.contextLength}: ${answer.found ? "found" : "missed"}, ${left} left`);
      },
    });
    await csv?.write(passkeyCsv(answers));
    const found = answers.filter((answer) => answer.found).length;
    if (values.json) {
      terminal.json({
        results: answers.map((answer) => ({
          context_length: answer.contextLength,
          depth: answer.depth,
          key: answer.key,
          answer: answer.answer,
          found: answer.found,
        })),
        accuracy: found / answers.length,
        accuracy_by_length: byLength(answers).map(([length, of]) => ({
          context_length: length,
          accuracy: shareOf(of),
          trials: of.length,
        })),
        method: {
          protocol:
            "eval/passkey.py of jquesnelle/yarn; a key is found if the first number of the completion equals it",
          max_tokens: ANSWER_TOKENS,
          sampling: "greedy",
          ...(listed === undefined
            ? { depths: depths ?? "random", iterations, seed, random_numbers: "PCG32 XSH-RR 64/32, stream 54" }
            : { trials: file }),
        },
      });
      return;
    }
    terminal.write(alignedTable([
      ["length", "found", "trials", "accuracy"],
      ...byLength(answers).map(([length, of]) => [
        String(length),
        String(of.filter((answer) => answer.found).length),
        String(of.length),
        `${(100 * shareOf(of)).toFixed(0)}%`,
      ]),
    ]));
  },
});

/** The trials of a list, those of some lengths where lengths are given. */
function readTrials(path: string, value: unknown, lengths: readonly number[] | undefined): PasskeyTrial[] {
  const refuse = (reason: string): never => {
    throw new UsageError(`Cannot use --trials ${JSON.stringify(path)}: ${reason}`);
  };
  if (!Array.isArray(value)) refuse("expected a JSON array of {length, key, depth, filler_characters}");
  const trials = (value as unknown[]).map((each, index): PasskeyTrial => {
    const { length, key, depth, filler_characters: filler } = (each ?? {}) as Record<string, unknown>;
    const isGood = Number.isSafeInteger(length) && (length as number) >= 1 && /^\d+$/.test(String(key)) &&
      typeof depth === "number" && depth >= 0 && depth <= 1 &&
      Number.isSafeInteger(filler) && (filler as number) >= 0 && (filler as number) < 2 ** 24;
    if (!isGood) {
      refuse(`element ${index} is ${JSON.stringify(each)}, expected {length, key, depth, filler_characters}`);
    }
    const before = Math.floor((filler as number) * (depth as number));
    return {
      contextLength: length as number,
      key: String(key),
      depth: depth as number,
      before,
      after: (filler as number) - before,
    };
  }).filter(({ contextLength }) => lengths === undefined || lengths.includes(contextLength));
  if (trials.length === 0) {
    refuse(lengths === undefined ? "it is empty" : `no trial has length ${lengths.join(" or ")}`);
  }
  return trials;
}

function byLength(answers: readonly PasskeyAnswer[]): (readonly [number, readonly PasskeyAnswer[]])[] {
  const lengths = [...new Set(answers.map(({ contextLength }) => contextLength))];
  return lengths.map((length) => [length, answers.filter(({ contextLength }) => contextLength === length)]);
}

function shareOf(answers: readonly PasskeyAnswer[]): number {
  return answers.filter(({ found }) => found).length / answers.length;
}
