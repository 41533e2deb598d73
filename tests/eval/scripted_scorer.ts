/**
 * A model without a GPU: what it thinks of a token follows from the ids by a rule, and it notes what it is asked.
 *
 * @module
 */
import type { RopeChoice } from "../../src/model/rope_choice.ts";
import type { Scalable, Scorer } from "../../src/eval/scorer.ts";

/** One call of `score`. */
export interface ScoreCall {
  /** The ids that went in. */
  readonly ids: readonly number[];
  /** How many were to be scored. */
  readonly last: number;
}

/** See the module's description. */
export class ScriptedScorer implements Scorer, Scalable {
  /** What `score` was asked. */
  readonly calls: ScoreCall[] = [];
  /** What `scaleRope` was asked. */
  readonly scalings: (RopeChoice | undefined)[] = [];
  /** As `Scorer` says. */
  readonly contextLength: number;
  /** As `Scorer` says; every character is a token. */
  readonly tokenizer: Scorer["tokenizer"];
  readonly #logprob: (ids: readonly number[], index: number) => number;

  /** @param logprob What the model gives ids[index] after those before it. */
  constructor(
    logprob: (ids: readonly number[], index: number) => number,
    bosId: number | undefined = 1,
    contextLength: number = 4096,
  ) {
    this.contextLength = contextLength;
    this.#logprob = logprob;
    this.tokenizer = {
      bosId,
      encode: (text, { addSpecialTokens = true } = {}) =>
        Uint32Array.from([
          ...addSpecialTokens && bosId !== undefined ? [bosId] : [],
          ...[...text].map((character) => character.codePointAt(0)!),
        ]),
    };
  }

  /** As `Scorer` says. */
  score(input: ArrayLike<number>, { last }: { last: number }): Promise<{ logprobs: number[] }> {
    const ids = Array.from(input);
    this.calls.push({ ids, last });
    const first = ids.length - last;
    return Promise.resolve({ logprobs: Array.from({ length: last }, (_, i) => this.#logprob(ids, first + i)) });
  }

  /** As `Scalable` says. */
  scaleRope(choice?: RopeChoice): void {
    if (typeof choice === "object" && choice.rope_type === "stretched") throw new SyntaxError("stretched is unknown");
    this.scalings.push(choice);
  }
}
