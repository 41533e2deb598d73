/**
 * How fast a model loads, reads a prompt and generates.
 *
 * @module
 */
import { loadModel } from "../mod.ts";

/** English that every machine has. */
export const EXCERPT = new URL("../tests/testdata/pg19/keith_of_the_border.txt", import.meta.url);

/** What to measure. */
export interface GenerateBench {
  /** Tokens of the prompt. Default 512. */
  readonly promptTokens?: number;
  /** Tokens to generate. Default 64. */
  readonly tokens?: number;
  /** Rounds; the figures are medians over them. Default 3. */
  readonly rounds?: number;
}

/** Figures of one model. */
export interface GenerateFigures {
  /** Tokens of the prompt. */
  readonly promptTokens: number;
  /** Tokens generated. */
  readonly tokens: number;
  /** Milliseconds until the model was loaded, its pipelines included. */
  readonly loadMs: number;
  /** Prompt tokens a second. */
  readonly prefillTokensPerSecond: number;
  /** Milliseconds from the call to the first token. */
  readonly firstTokenMs: number;
  /** Generated tokens a second, after the first. */
  readonly decodeTokensPerSecond: number;
  /** Milliseconds for which feeding the prompt, and then decoding, kept the event loop from turning, at most. */
  readonly blockedMs: { readonly prefill: number; readonly decode: number };
}

/** The middle one of some numbers. */
export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[sorted.length >> 1]!;
}

/** Loads a model and measures it; the first round compiles what is compiled on first use, and is not counted. */
export async function benchGenerate(path: string, options: GenerateBench = {}): Promise<GenerateFigures> {
  const { promptTokens = 512, tokens = 64, rounds = 3 } = options;
  const started = performance.now();
  using model = await loadModel(path);
  const loadMs = performance.now() - started;
  const prompt = Array.from(model.tokenizer.encode(await Deno.readTextFile(EXCERPT))).slice(0, promptTokens);
  const timings = [];
  const blockedMs = { prefill: 0, decode: 0 };
  for (let round = -1; round < rounds; round++) {
    const generation = model.generate(prompt, { maxTokens: round < 0 ? 4 : tokens });
    let turned = performance.now();
    let phase: keyof typeof blockedMs = "prefill";
    const note = () => {
      const now = performance.now();
      if (round >= 0) blockedMs[phase] = Math.max(blockedMs[phase], now - turned);
      turned = now;
    };
    const timer = setInterval(note, 1);
    try {
      for await (const _ of generation) {
        if (phase === "prefill") note();
        phase = "decode";
      }
    } finally {
      clearInterval(timer);
    }
    if (round >= 0) timings.push((await generation.result).timings);
  }
  return {
    promptTokens: prompt.length,
    tokens,
    loadMs,
    prefillTokensPerSecond: median(timings.map((each) => each.prefillTokensPerSecond)),
    firstTokenMs: median(timings.map((each) => each.firstTokenMs)),
    decodeTokensPerSecond: median(timings.map((each) => each.decodeTokensPerSecond ?? 0)),
    blockedMs,
  };
}
