/**
 * How many tokens a second several generations get together.
 *
 * @module
 */
import { loadModel, type Model } from "../mod.ts";
import { EXCERPT, median } from "./generate_bench.ts";

/** What to measure. */
export interface BatchBench {
  /** How many generations run at once, one size after the other. Default 1, 2, 4, 8, 16. */
  readonly sizes?: readonly number[];
  /** Tokens of each prompt; each is another part of the text. Default 64. */
  readonly promptTokens?: number;
  /** Tokens that each generates. Default 48. */
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
}

/** Loads a model and measures it; a first round, which compiles what is compiled on first use, is not counted. */
export async function benchBatches(path: string, options: BatchBench = {}): Promise<BatchFigures[]> {
  const { sizes = [1, 2, 4, 8, 16], promptTokens = 64, tokens = 48, rounds = 3 } = options;
  using model = await loadModel(path);
  const text = Array.from(model.tokenizer.encode(await Deno.readTextFile(EXCERPT)));
  const prompts = Array.from(
    { length: Math.max(...sizes) },
    (_, i) => text.slice(i * promptTokens).slice(0, promptTokens),
  );
  const rates = new Map(sizes.map((size) => [size, [] as number[]]));
  await run(model, prompts.slice(0, 2), 2);
  for (let round = 0; round < rounds; round++) {
    for (const size of sizes) rates.get(size)!.push(await run(model, prompts.slice(0, size), tokens));
  }
  return sizes.map((sequences) => ({ sequences, tokensPerSecond: median(rates.get(sequences)!) }));
}

async function run(model: Model, prompts: readonly (readonly number[])[], maxTokens: number): Promise<number> {
  const sessions = prompts.map(() => model.createSession());
  try {
    // Prompts are fed beforehand, so that all decode from the start.
    for (const [i, session] of sessions.entries()) {
      session.append(prompts[i]!);
      await session.generate({ maxTokens: 1 }).result;
    }
    const arrivals = await Promise.all(sessions.map(async (session) => {
      const times: number[] = [];
      for await (const { tokens } of session.generate({ maxTokens })) {
        for (const _ of tokens) times.push(performance.now());
      }
      return times;
    }));
    const begin = Math.min(...arrivals.map((times) => times[0]!));
    const end = Math.max(...arrivals.map((times) => times.at(-1)!));
    const afterFirst = arrivals.reduce((sum, { length }) => sum + length - 1, 0);
    return afterFirst * 1000 / (end - begin);
  } finally {
    for (const session of sessions) session.dispose();
  }
}
