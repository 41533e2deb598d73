/**
 * When a generation stops.
 *
 * @module
 */

/** Options that end a generation. */
export interface StopOptions {
  /** Most tokens to generate. Where the context ends before, `contextPolicy` says what happens. @default {256} */
  readonly maxTokens?: number;
  /** Texts to stop before, at most 64. @default {[]} */
  readonly stop?: string | readonly string[];
}

/** Options with their defaults filled in. */
export interface ResolvedStop {
  /** Most tokens to generate. */
  readonly maxTokens: number;
  /** Texts to stop before. */
  readonly stop: readonly string[];
}

/** Stop strings in one generation at most: each is looked for in every piece of text. */
const MOST_STOPS = 64;

/**
 * Fills in defaults and checks ranges.
 *
 * @throws {RangeError} If `maxTokens` is no positive integer, or a stop string is empty or one too many.
 * @throws {TypeError} If a stop is not a string.
 */
export function resolveStop({ maxTokens = 256, stop = [] }: StopOptions): ResolvedStop {
  if (!Number.isSafeInteger(maxTokens) || maxTokens < 1) {
    throw new RangeError(`Cannot generate with maxTokens ${maxTokens}: expected an integer of at least 1`);
  }
  const texts = typeof stop === "string" ? [stop] : [...stop];
  if (texts.length > MOST_STOPS) {
    throw new RangeError(`Cannot watch for ${texts.length} stop strings: at most ${MOST_STOPS} are allowed`);
  }
  for (const text of texts) {
    if (typeof text !== "string") throw new TypeError(`Cannot stop at ${String(text)}: expected a string`);
    if (text === "") throw new RangeError("Cannot stop at an empty string: leave it out to stop only at stop tokens");
  }
  return { maxTokens, stop: texts };
}
