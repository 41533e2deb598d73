import { assert, assertEquals, assertThrows } from "@std/assert";
import * as fc from "fast-check";
import { isClear, judge } from "../../bench/compare/verdict.ts";

/** Times that scatter by up to 20 % and are now and then three times as long, as on a shared machine. */
function times(seed: number, n: number, factor: number): number[] {
  let state = seed;
  const next = () => (state = (state * 1103515245 + 12345) & 0x7fffffff) / 0x7fffffff;
  return Array.from({ length: n }, () => factor * 10 * (0.9 + 0.2 * next()) * (next() > 0.9 ? 3 : 1));
}

Deno.test("30 % more is flagged and nothing is flagged of the same, whatever the noise", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e9 }), (seed) => {
      assertEquals(judge(times(seed, 21, 1), times(seed + 1, 21, 1)).second, "same");
      assertEquals(judge(times(seed, 41, 1), times(seed + 1, 41, 1.3)).second, "slower");
      assertEquals(judge(times(seed, 41, 1.3), times(seed + 1, 41, 1)).second, "faster");
    }),
    { numRuns: 50, seed: 7 },
  );
});

Deno.test("the ratio lies in its interval, and swapping the two inverts it", () => {
  const [a, b] = [times(3, 15, 1), times(4, 15, 1.1)];
  const forward = judge(a, b);
  const backward = judge(b, a);
  assert(forward.interval[0] <= forward.ratio && forward.ratio <= forward.interval[1]);
  assert(Math.abs(forward.ratio * backward.ratio - 1) < 1e-12);
});

Deno.test("the interval leaves out as many ratios at either end as 99 % allow", () => {
  for (const [n, left] of [[9, 0], [15, 2], [21, 4]] as const) {
    const ratios = Array.from({ length: n }, (_, i) => 1 + i);
    const { interval } = judge(Array(n).fill(1), ratios);
    assertEquals(interval, [ratios[left]!, ratios[n - 1 - left]!]);
  }
});

Deno.test("more pairs are wanted while a large change is possible", () => {
  const even = Array(21).fill(10);
  const verdictOf = (spread: number) => judge(even, even.map((ms, i) => ms * spread ** (i % 2 === 0 ? 1 : -1)));
  assertEquals([1.01, 1.1, 1.2, 2].map((spread) => isClear(verdictOf(spread))), [true, true, false, false]);
  assert(isClear(judge(even, Array(21).fill(13))));
});

Deno.test("few or unlike numbers of times are refused", () => {
  assertThrows(() => judge(times(1, 8, 1), times(2, 8, 1)), RangeError, "at least 9 pairs");
  assertThrows(() => judge(times(1, 9, 1), times(2, 10, 1)), RangeError, "9 times with 10");
});
