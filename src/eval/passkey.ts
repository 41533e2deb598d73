/**
 * Passkey retrieval as jquesnelle/yarn's eval/passkey.py measures it: a number hidden in filler, and the question for it.
 *
 * @module
 */
import { passkeyPrompt } from "./passkey_prompt.ts";
import { Pcg32 } from "./pcg32.ts";
import type { Encoder } from "./scorer.ts";

/** One prompt and its key. */
export interface PasskeyTrial {
  /** The context length that it stands for, in tokens. */
  readonly contextLength: number;
  /** The number to find, in digits. */
  readonly key: string;
  /** Share of the filler that stands before the key, 0 to 1. */
  readonly depth: number;
  /** Characters of filler before the key. */
  readonly before: number;
  /** Characters of filler after it. */
  readonly after: number;
}

/** What the model made of a trial. */
export interface PasskeyAnswer extends PasskeyTrial {
  /** The completion. */
  readonly answer: string;
  /** Whether its first number is the key. */
  readonly found: boolean;
}

/** Which trials to make. */
export interface PasskeyOptions {
  /** Context lengths in tokens. */
  readonly lengths: readonly number[];
  /** Trials for each length, or for each depth of each length. @default {20} */
  readonly iterations?: number;
  /** Put the key at so many evenly spaced depths, in place of random ones. */
  readonly depths?: number;
  /** Seed of the keys and the random depths. @default {0} */
  readonly seed?: number;
}

/** Continues prompts. `Model` does. */
export interface Completer {
  /** Starts a completion. */
  generate(
    prompt: string,
    options: { maxTokens: number; contextPolicy: "stop"; signal?: AbortSignal },
  ): { readonly result: Promise<{ readonly text: string }> };
}

/** Tokens that a completion may have. */
export const ANSWER_TOKENS = 10;

/** Characters by which the filler grows until the prompt has the tokens that are wanted. */
const FILLER_STEP = 128;

/** Largest key. */
const LARGEST_KEY = 50000;

/** The longest filler of whole steps that keeps the prompt under `length` tokens, in characters. */
export function fillerCharacters(tokenizer: Encoder, length: number): number {
  const fits = (steps: number): boolean => {
    const half = (steps * FILLER_STEP) / 2;
    const text = passkeyPrompt({ key: String(LARGEST_KEY), before: half, after: half });
    return tokenizer.encode(text, { addSpecialTokens: true }).length < length;
  };
  if (!fits(0)) throw new RangeError(`Cannot hide a key in ${length} tokens: the prompt without filler has no fewer`);
  // The script adds step after step; more characters never make fewer tokens, so that halving finds the same number.
  let low = 0;
  let high = 1;
  while (fits(high)) [low, high] = [high, 2 * high];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (fits(middle)) low = middle;
    else high = middle;
  }
  return low * FILLER_STEP;
}

/**
 * The trials of the script: random keys from 1 to 50000 at random depths, or at evenly spaced ones.
 *
 * @throws {RangeError} If a length is shorter than the prompt without filler.
 */
export function passkeyTrials(tokenizer: Encoder, options: PasskeyOptions): PasskeyTrial[] {
  const { lengths, iterations = 20, depths, seed = 0 } = options;
  const random = new Pcg32(seed);
  return lengths.flatMap((contextLength) => {
    const filler = fillerCharacters(tokenizer, contextLength);
    const trial = (before: number): PasskeyTrial => ({
      contextLength,
      key: String(random.integer(1, LARGEST_KEY)),
      depth: filler === 0 ? 0 : before / filler,
      before,
      after: filler - before,
    });
    const spaced = depths === undefined
      ? [undefined]
      : Array.from({ length: depths }, (_, i) => Math.floor(depths === 1 ? filler / 2 : (filler * i) / (depths - 1)));
    return spaced.flatMap((before) =>
      Array.from({ length: iterations }, () => trial(before ?? random.integer(0, filler)))
    );
  });
}

/**
 * Asks for every key.
 *
 * @param model Continues the prompts, greedily.
 * @param options Aborting ends the work within one submit; `onAnswer` is told each answer when it is there.
 * @returns The trials with what came of them.
 */
export async function passkey(
  model: Completer,
  trials: readonly PasskeyTrial[],
  { signal, onAnswer }: { readonly signal?: AbortSignal; readonly onAnswer?: (answer: PasskeyAnswer) => void } = {},
): Promise<PasskeyAnswer[]> {
  const answers: PasskeyAnswer[] = [];
  for (const trial of trials) {
    signal?.throwIfAborted();
    const { text: answer } = await model.generate(passkeyPrompt(trial), {
      maxTokens: ANSWER_TOKENS,
      // A prompt may leave less room; what fits of the answer is what the script sees too.
      contextPolicy: "stop",
      ...(signal === undefined ? {} : { signal }),
    }).result;
    const number = /\d+/.exec(answer)?.[0];
    const done = { ...trial, answer, found: number !== undefined && Number(number) === Number(trial.key) };
    answers.push(done);
    onAnswer?.(done);
  }
  return answers;
}
