import { assertEquals } from "@std/assert";
import { duration, jsonRows, progressLine } from "../../src/cli/evaluation_output.ts";

Deno.test("duration() rounds up to the two largest units", () => {
  assertEquals([0, 0.2, 59, 59.5, 61, 3540, 3541, 9000, 86400].map(duration), [
    ...["0 s", "1 s", "59 s", "1 min", "2 min", "59 min", "1 h 0 min", "2 h 30 min", "24 h 0 min"],
  ]);
});

Deno.test("progressLine() tells the window at work, and the time left once it is known", () => {
  const progress = { scaling: "yarn:8", contextLength: 2048, windows: 11, totalWindows: 42 };
  assertEquals(progressLine({ ...progress, secondsLeft: undefined }), "yarn:8 at 2048: window 12 of 42");
  assertEquals(progressLine({ ...progress, secondsLeft: 150 }), "yarn:8 at 2048: window 12 of 42, 3 min left");
});

Deno.test("jsonRows() has the names that scripts depend on", () => {
  const row = { scaling: "none", contextLength: 256, perplexity: 2, tokenPerplexity: 3, tokens: 4, windows: 5 };
  const expected = { scaling: "none", context_length: 256, perplexity: 2, token_perplexity: 3, tokens: 4, windows: 5 };
  assertEquals(jsonRows([row, { ...row, positions: [0, 8] }]), [expected, { ...expected, positions: [0, 8] }]);
});
