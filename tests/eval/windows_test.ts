import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { documentTokensOf, sampledWindow, slidingWindows } from "../../src/eval/windows.ts";

const shapes = fc.record({
  nTokens: fc.nat(2000),
  length: fc.integer({ min: 2, max: 300 }),
  share: fc.double({ min: 0, max: 1, noNaN: true }),
  hasBos: fc.boolean(),
}).map(({ nTokens, length, share, hasBos }) => {
  return { nTokens, options: { length, stride: 1 + Math.floor(share * (length - 2)), truncate: false, hasBos } };
});

/** The loop of eval/perplexity.py, line by line: [begin, end, tokens that count]. */
function reference(nTokens: number, length: number, stride: number, hasBos: boolean): number[][] {
  const maxTokenizedLen = hasBos ? length - 1 : length;
  const windows: number[][] = [];
  let previous = 0;
  for (let begin = 0; begin < nTokens; begin += stride) {
    const end = Math.min(begin + maxTokenizedLen, nTokens);
    windows.push([begin, end, end - previous]);
    previous = end;
    if (end === nTokens) break;
  }
  return windows;
}

Deno.test("slidingWindows() cuts as eval/perplexity.py does", () => {
  fc.assert(fc.property(shapes, ({ nTokens, options }) => {
    const { length, stride, hasBos } = options;
    const expected = reference(nTokens, length, stride, hasBos);
    // Without BOS nothing predicts the first token: the script's loss leaves it out too.
    if (!hasBos && expected.length > 0) expected[0]![2]! -= 1;
    assertEquals(
      slidingWindows(nTokens, options).map(({ begin, end, scored }) => [begin, end, scored]),
      expected.filter(([, , scored]) => scored! > 0),
    );
  }));
});

Deno.test("slidingWindows() scores every token exactly once, with as much context as the stride leaves", () => {
  fc.assert(fc.property(shapes, ({ nTokens, options }) => {
    const room = documentTokensOf(options);
    const times = new Array<number>(nTokens).fill(0);
    for (const { begin, end, scored } of slidingWindows(nTokens, options)) {
      assert(end - begin <= room && scored < end - begin + (options.hasBos ? 1 : 0));
      for (let token = end - scored; token < end; token++) {
        times[token]!++;
        assert(token < room || token - begin >= room - options.stride);
      }
    }
    assertEquals(times, times.map((_, token) => token === 0 && !options.hasBos ? 0 : 1));
  }));
});

Deno.test("slidingWindows() makes one pass of a document that is cut to the window", () => {
  const options = { length: 64, stride: 1, truncate: true, hasBos: true };
  assertEquals(slidingWindows(1000, options), [{ begin: 0, end: 63, scored: 63 }]);
  assertEquals(slidingWindows(10, options), [{ begin: 0, end: 10, scored: 10 }]);
});

Deno.test("slidingWindows() refuses a stride that would leave tokens out", () => {
  const options = { length: 64, truncate: false, hasBos: true };
  assertThrows(
    () => slidingWindows(100, { ...options, stride: 64 }),
    RangeError,
    "length 64 with stride 64: expected 1 to 63",
  );
  assertThrows(() => slidingWindows(100, { ...options, stride: 0 }), RangeError, "stride 0");
  assertThrows(() => slidingWindows(100, { ...options, length: 1, stride: 1 }), RangeError, "length 1");
});

Deno.test("sampledWindow() lets BOS and length - 1 tokens predict length targets", () => {
  assertEquals(sampledWindow(5000, 2048, 256, true), { begin: 2952, end: 5000, scored: 256 });
  assertEquals(sampledWindow(5000, 2048, Infinity, true), { begin: 2952, end: 5000, scored: 2048 });
  assertEquals(sampledWindow(5000, 128, 256, false), { begin: 4871, end: 5000, scored: 128 });
});
