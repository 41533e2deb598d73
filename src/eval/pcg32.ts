/**
 * Seeded random integers.
 *
 * @module
 */

/** PCG32 (XSH-RR 64/32, O'Neill 2014): the same seed gives the same numbers everywhere. */
export class Pcg32 {
  #state = 0n;

  /** @param seed A whole number from 0 to 2^53 - 1. */
  constructor(seed: number) {
    this.#next();
    this.#state = BigInt.asUintN(64, this.#state + BigInt(seed));
    this.#next();
  }

  /** A whole number from `low` to `high`, both included, all equally likely; at most 2^32 of them. */
  integer(low: number, high: number): number {
    const count = high - low + 1;
    // What is left of 2^32 after whole multiples of `count` would favour the lower numbers.
    const usable = 2 ** 32 - (2 ** 32 % count);
    while (true) {
      const value = this.#next();
      if (value < usable) return low + (value % count);
    }
  }

  #next(): number {
    const old = this.#state;
    // The constants of pcg32_random_r, with stream 54 of its demo.
    this.#state = BigInt.asUintN(64, old * 6364136223846793005n + 109n);
    const mixed = Number(BigInt.asUintN(32, ((old >> 18n) ^ old) >> 27n));
    const turn = Number(old >> 59n);
    return ((mixed >>> turn) | (mixed << (-turn & 31))) >>> 0;
  }
}
