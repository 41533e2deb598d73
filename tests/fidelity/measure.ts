/**
 * What a fidelity run finds: measures with their limits, as a table.
 *
 * @module
 */

/** One line of the table. */
export interface Measure {
  /** What was measured. */
  readonly name: string;
  /** What must hold. */
  readonly limit: string;
  /** What was found. */
  readonly got: string;
  /** Whether it holds. */
  readonly passed: boolean;
}

/** A measure that must not be above `limit`. */
export function atMost(name: string, limit: number, got: number, unit = ""): Measure {
  return { name, limit: `<= ${format(limit)}${unit}`, got: `${format(got)}${unit}`, passed: got <= limit };
}

/** A measure that has to be true; `got` says what was found. */
export function holds(name: string, limit: string, got: string, passed: boolean): Measure {
  return { name, limit, got, passed };
}

/** The table's line, columns aligned. */
export function line({ name, limit, got, passed }: Measure): string {
  return `${passed ? "pass" : "FAIL"}  ${name.padEnd(66)} ${limit.padEnd(22)} ${got}`;
}

/** Largest absolute difference of two lists of one length; NaN counts as infinite. */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new RangeError(`Cannot compare ${a.length} numbers with ${b.length}`);
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i]! - b[i]!);
    if (!(difference <= largest)) largest = Number.isNaN(difference) ? Infinity : difference;
  }
  return largest;
}

/** exp(-mean) of log-probabilities. */
export function perplexityOf(logprobs: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < logprobs.length; i++) sum += logprobs[i]!;
  return Math.exp(-sum / logprobs.length);
}

/** How far `got` is from `expected`, in percent. */
export function percentOff(got: number, expected: number): number {
  return Math.abs(got / expected - 1) * 100;
}

function format(value: number): string {
  return Math.abs(value) >= 0.001 && Math.abs(value) < 1e5
    ? String(Number(value.toPrecision(4)))
    : value.toExponential(2);
}
