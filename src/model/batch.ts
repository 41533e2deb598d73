/**
 * What a sequence hands out while tokens are being selected.
 *
 * @module
 */

/** Tokens that are being selected on the GPU. */
export interface Batch {
  /** How many tokens they are, or may be: guesses that turn out wrong are not among them. */
  readonly count: number;
  /** Fetches their ids, in order of the batches. In Deno the call blocks until the GPU has selected them. */
  tokens(): Promise<number[]>;
  /** Leaves them on the GPU, in place of fetching them. */
  discard(): void;
}
