/**
 * What two versions of Skein are timed at, through the public module alone, so that any two commits can be compared.
 *
 * @module
 */
import type { loadModel, Model } from "../../mod.ts";

/** A version of the module. */
export interface Version {
  /** Its `loadModel`. */
  readonly loadModel: typeof loadModel;
}

/** Something to time. */
export interface Workload {
  /** What it is called in the table. */
  readonly name: string;
  /** Runs it once, as much of it as `share` says, and tells how long that took in milliseconds. */
  run(model: Model, share: number): Promise<number>;
}

// Short, so that the two take turns often: what else the machine does changes by the second.
const PROMPT_TOKENS = 128;
const TOKENS = 24;

/** The prompt and the lengths that are timed; texts shorter than the prompt are an error of the caller. */
export function workloadsOf(text: string, model: Model): readonly Workload[] {
  const ids = Array.from(model.tokenizer.encode(text));
  const most = Math.min(ids.length, Math.floor(model.contextLength / 2));
  const prompt = (share: number) => ids.slice(0, Math.min(most, Math.round(PROMPT_TOKENS * share)));
  return [
    {
      name: `prefill of ${PROMPT_TOKENS} tokens`,
      run: async (of, share) => (await of.generate(prompt(share), { maxTokens: 1 }).result).timings.prefillMs,
    },
    {
      name: `decode of ${TOKENS} tokens`,
      run: async (of, share) => {
        const { timings } = await of.generate(prompt(0.25), { maxTokens: Math.round(TOKENS * share) }).result;
        return timings.decodeMs;
      },
    },
  ];
}
