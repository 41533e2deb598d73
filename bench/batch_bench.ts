/**
 * How many tokens a second several generations get together.
 *
 * @module
 */
import { loadModel, type Session } from "../mod.ts";
import { EXCERPT, median } from "./generate_bench.ts";

/** What to measure. */
export interface BatchBench {
  /** How many generations run at once; the first is what the others are compared with. Default 1, 2, 4, 8, 16. */
  readonly sizes?: readonly number[];
  /** Tokens of each prompt; each is another part of the text. Default 64. */
  readonly promptTokens?: number;
  /** Tokens that each generates. Default 24. */
  readonly tokens?: number;
  /** Rounds, each of which runs all sizes; the figures are medians over them. Default 3. */
  readonly rounds?: number;
}

/** Figures of one size. */
export interface BatchFigures {
  /** Generations at once. */
  readonly sequences: number;
  /** Tokens a second of all together, after each one's first: from the first of all to the last of all. */
  readonly tokensPerSecond: number;
  /** By those of the first size in the same round: a machine's speed changes from one round to the next. */
  readonly ratio: number;
}

/** Loads a model and measures it; a first run, which compiles what is compiled on first use, is not counted. */
export async function benchBatches(path: string, options: BatchBench = {}): Promise<BatchFigures[]> {
  const { sizes = [1, 2, 4, 8, 16], promptTokens = 64, tokens = 24, rounds = 3 } = options;
  using model = await loadModel(path);
  const text = Array.from(model.tokenizer.encode(await Deno.readTextFile(EXCERPT)));
  const sessions = Array.from({ length: Math.max(...sizes) }, (_, i) => {
    const session = model.createSession();
    session.append(text.slice(i * promptTokens).slice(0, promptTokens));
    return session;
  });
  for (const size of sizes) await run(sessions.slice(0, size), 2);
  const measured: number[][] = [];
  for (let round = 0; round < rounds; round++) {
    const rates: number[] = [];
    for (const size of sizes) rates.push(await run(sessions.slice(0, size), tokens));
    measured.push(rates);
  }
  return sizes.map((sequences, i) => ({
    sequences,
    tokensPerSecond: median(measured.map((rates) => rates[i]!)),
    ratio: median(measured.map((rates) => rates[i]! / rates[0]!)),
  }));
}

/** Tokens a second of sessions that decode together, from prompts that are cached but for their last token. */
async function run(sessions: readonly Session[], maxTokens: number): Promise<number> {
  const arrivals = await Promise.all(sessions.map(async (session) => {
    const { length } = session;
    const times: number[] = [];
    for await (const { tokens } of session.generate({ maxTokens })) {
      for (const _ of tokens) times.push(performance.now());
    }
    session.truncate(length);
    return times;
  }));
  const begin = Math.min(...arrivals.map((times) => times[0]!));
  const end = Math.max(...arrivals.map((times) => times.at(-1)!));
  const afterFirst = arrivals.reduce((sum, { length }) => sum + length - 1, 0);
  return afterFirst * 1000 / (end - begin);
}
