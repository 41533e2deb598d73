/**
 * What a generation's tokens are held to, beside the model's own choice.
 *
 * @module
 */

/** Says which tokens may come next. */
export interface Constraint {
  /** Bit `i % 32` of word `i / 32` is set where token i may come next: (ceil(vocabSize / 32)) u32. */
  readonly allowed: Uint32Array<ArrayBuffer>;
  /** Whether nothing may follow; `allowed` is empty then. */
  readonly isComplete: boolean;
  /** Takes in the tokens that came, and finds out what may follow them. */
  accept(ids: readonly number[]): Promise<void>;
}
