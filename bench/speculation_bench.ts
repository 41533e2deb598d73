/**
 * What speculation gains where a text repeats its prompt, and costs where it does not.
 *
 * @module
 */
import { loadModel } from "../mod.ts";
import { EXCERPT, median } from "./generate_bench.ts";

/** Tokens that are guessed at a time. */
const GUESSES = 7;

/** Figures of one text. */
export interface SpeculationRow {
  /** What the text does. */
  readonly text: string;
  /** Share of the guesses that were right; null where nothing was guessed. */
  readonly accepted: number | null;
  /** Tokens a second without. */
  readonly plainTokensPerSecond: number;
  /** Tokens a second with. */
  readonly tokensPerSecond: number;
}

/** Measures a model, with and without in turn; the figures are medians over `rounds`. */
export async function benchSpeculation(path: string, maxTokens = 48, rounds = 3): Promise<SpeculationRow[]> {
  using model = await loadModel(path);
  const excerpt = Array.from(model.tokenizer.encode(await Deno.readTextFile(EXCERPT))).slice(0, 160);
  const texts = { "repeats its prompt": [...excerpt, ...excerpt.slice(0, 32)], "goes its own way": excerpt };
  const rows: SpeculationRow[] = [];
  for (const [text, prompt] of Object.entries(texts)) {
    const rates: { plain: number[]; fast: number[] } = { plain: [], fast: [] };
    let accepted: number | null = null;
    for (let round = -1; round < rounds; round++) {
      const plain = await model.generate(prompt, { maxTokens: round < 0 ? 4 : maxTokens }).result;
      const fast = await model.generate(prompt, { maxTokens: round < 0 ? 4 : maxTokens, speculate: GUESSES }).result;
      if (round < 0) continue;
      rates.plain.push(plain.timings.decodeTokensPerSecond ?? 0);
      rates.fast.push(fast.timings.decodeTokensPerSecond ?? 0);
      const figures = fast.speculation!;
      accepted = figures.proposed > 0 ? figures.accepted / figures.proposed : null;
    }
    const [plainTokensPerSecond, tokensPerSecond] = [median(rates.plain), median(rates.fast)];
    rows.push({ text, accepted, plainTokensPerSecond, tokensPerSecond });
  }
  return rows;
}
