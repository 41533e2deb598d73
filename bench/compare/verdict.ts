/**
 * Whether one of two things is slower, from pairs of times taken in turn.
 *
 * @module
 */

/** What pairs of times say. */
export interface Verdict {
  /** The middle of the ratios second / first. */
  readonly ratio: number;
  /** Between these the true middle lies, with at least 99 % confidence: order statistics of the ratios. */
  readonly interval: readonly [low: number, high: number];
  /** "same" unless the whole interval is beyond the threshold. */
  readonly second: "slower" | "faster" | "same";
}

/** Change that counts: less than it is never flagged. */
export const THRESHOLD = 0.05;

/** An interval within this factor of 1 needs no more pairs. */
const CLOSE = 1.15;

/** Pairs that the interval needs at least. */
export const FEWEST_PAIRS = 9;

/**
 * Judges by the median of the ratios. Nothing is assumed of how times scatter, so that a burst of other work on the
 * machine, which spoils some pairs, moves neither the median nor the interval by much.
 *
 * @param first Milliseconds of the first, one a round.
 * @param second Milliseconds of the second, in the same rounds.
 * @throws {RangeError} If there are fewer than `FEWEST_PAIRS` rounds, or not as many of both.
 */
export function judge(first: readonly number[], second: readonly number[]): Verdict {
  const n = first.length;
  if (n < FEWEST_PAIRS || n !== second.length) {
    throw new RangeError(`Cannot compare ${n} times with ${second.length}: at least ${FEWEST_PAIRS} pairs are needed`);
  }
  const ratios = first.map((ms, i) => second[i]! / ms).sort((a, b) => a - b);
  const cut = outside(n);
  const interval = [ratios[cut]!, ratios[n - 1 - cut]!] as const;
  const ratio = n % 2 === 1 ? ratios[n >> 1]! : Math.sqrt(ratios[n / 2 - 1]! * ratios[n / 2]!);
  const [low, high] = interval;
  return { ratio, interval, second: low > 1 + THRESHOLD ? "slower" : high < 1 / (1 + THRESHOLD) ? "faster" : "same" };
}

/** Whether more pairs could hardly change the verdict: it is no "same", or the interval has no room for a large change. */
export function isClear({ second, interval: [low, high] }: Verdict): boolean {
  return second !== "same" || (high < CLOSE && low > 1 / CLOSE);
}

/** How many ratios may be left out at either end: the largest c with 2 P(Binomial(n, 1/2) <= c) <= 1 %. */
function outside(n: number): number {
  let term = 0.5 ** n;
  let sum = 0;
  for (let c = 0; c <= n; c++) {
    sum += term;
    if (2 * sum > 0.01) return c - 1;
    term = term * (n - c) / (c + 1);
  }
  return 0;
}
