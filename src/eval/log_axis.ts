/**
 * Logarithmic axes of plots.
 *
 * @module
 */

/** A logarithmic axis between two places of a picture. */
export interface LogAxis {
  /** Values that carry a label, ascending. */
  readonly ticks: readonly number[];
  /** The label of a tick. */
  label(tick: number): string;
  /** Where a value lies, to a tenth of a unit. */
  at(value: number): number;
}

/** Fewest labels at multiples of powers of ten; below that they are evenly spaced. */
const FEWEST = 4;

/** Fewest intervals of evenly spaced labels: fewer than 8 at the next finer step, whose size is 2.5 times smaller at most. */
const INTERVALS = 3.2;

/** Most labels of an axis. */
const MOST = 9;

/** Multiples of powers of ten, the coarsest first. */
const STEPS = [[1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 5, 7]];

/**
 * An axis with room beyond the outermost values and labels at round numbers.
 *
 * @param values What is to lie on it: positive and finite, at least one.
 * @param from Where it begins.
 * @param to Where it ends.
 */
export function valueAxis(values: readonly number[], from: number, to: number): LogAxis {
  const [lowest, highest] = [Math.min(...values), Math.max(...values)];
  const margin = Math.max((highest / lowest) ** 0.05, 1.01);
  const [low, high] = [lowest / margin, highest * margin];
  const { ticks, digits } = roundNumbers(low, high);
  return { ticks, label: (tick) => tick.toFixed(digits), at: logarithmic(low, high, from, to) };
}

/** An axis from the first value to the last, labelled at those values whose labels keep `apart` from each other. */
export function listAxis(values: readonly number[], from: number, to: number, apart: number): LogAxis {
  const at = logarithmic(Math.min(...values), Math.max(...values), from, to);
  const ticks: number[] = [];
  for (const value of [...new Set(values)].sort((a, b) => a - b)) {
    if (ticks.length === 0 || Math.abs(at(value) - at(ticks.at(-1)!)) >= apart) ticks.push(value);
  }
  return { ticks, label: String, at };
}

function logarithmic(low: number, high: number, from: number, to: number): (value: number) => number {
  return (value) => {
    const share = high > low ? Math.log(value / low) / Math.log(high / low) : 0.5;
    return Math.round((from + share * (to - from)) * 10) / 10;
  };
}

/** Round numbers from `low` to `high`, and how many decimals they have. */
function roundNumbers(low: number, high: number): { ticks: number[]; digits: number } {
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const powers = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  const candidates = STEPS.map((steps) =>
    powers.flatMap((power) => steps.map((step) => Number(`${step}e${power}`)))
      .filter((tick) => tick >= low && tick <= high)
  );
  const found = candidates.find(({ length }) => length >= FEWEST);
  if (found !== undefined) {
    const every = Math.ceil(found.length / MOST);
    const ticks = found.filter((_, i) => i % every === 0);
    return { ticks, digits: decimals(ticks) };
  }
  // Within less than a decade, evenly spaced numbers are rounder than multiples of powers of ten.
  const power = 10 ** Math.floor(Math.log10((high - low) / INTERVALS));
  const step = [5, 2, 1].map((times) => times * power).find((each) => (high - low) / each >= INTERVALS) ?? power;
  const begin = Math.ceil(low / step);
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  const count = Math.floor(high / step) - begin + 1;
  return { ticks: Array.from({ length: count }, (_, i) => Number(((begin + i) * step).toFixed(digits))), digits };
}

/** Decimals that a list of numbers needs, of which none has an exponent. */
function decimals(values: readonly number[]): number {
  return Math.max(...values.map((value) => String(value).split(".")[1]?.length ?? 0));
}
