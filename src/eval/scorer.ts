/**
 * What the evaluations ask of a model. `Model` has it all; a test can have less.
 *
 * @module
 */
import type { RopeChoice } from "../model/rope_choice.ts";

/** Text to token ids. */
export interface Encoder {
  /** The token that begins a text; undefined where the tokenizer has none. */
  readonly bosId: number | undefined;
  /** The token ids of a text. `// (n_tokens)` */
  encode(text: string, options?: { addSpecialTokens?: boolean }): Uint32Array;
}

/** Scores token ids. */
export interface Scorer {
  /** Text to token ids. */
  readonly tokenizer: Encoder;
  /** Most tokens that can go in. */
  readonly contextLength: number;
  /** Log-probabilities of the last `last` of the ids, each given all before it. */
  score(
    ids: ArrayLike<number>,
    options: { last: number; signal?: AbortSignal; onProgress?: (done: number, total: number) => void },
  ): Promise<{ readonly logprobs: ArrayLike<number> }>;
}

/** A scorer whose rotary scaling can be replaced. */
export interface Scalable {
  /** Uses another scaling from now on; undefined for the model's own. */
  scaleRope(choice?: RopeChoice): unknown;
}
