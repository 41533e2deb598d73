import { assertEquals } from "@std/assert";
import { lookUp } from "../../src/model/prompt_lookup.ts";

Deno.test("lookUp() goes on as after the longest earlier occurrence of the end", () => {
  assertEquals(lookUp([1, 2, 3, 4, 5, 6, 1, 2, 3], 3), [4, 5, 6]);
  // 2, 3 stands twice before: once after 1.
  assertEquals(lookUp([1, 2, 3, 7, 9, 2, 3, 8, 1, 2, 3], 1), [7]);
});

Deno.test("lookUp() takes the latest of occurrences that are as long", () => {
  assertEquals(lookUp([1, 2, 7, 1, 2, 8, 1, 2], 1), [8]);
});

Deno.test("lookUp() goes round in a repetition", () => {
  assertEquals(lookUp([9, 1, 2, 1, 2], 5), [1, 2, 1, 2, 1]);
  assertEquals(lookUp([4, 4, 4], 4), [4, 4, 4, 4]);
});

Deno.test("lookUp() guesses nothing without two tokens that match", () => {
  for (const tokens of [[], [1], [1, 1], [1, 2], [1, 2, 3, 2], [5, 1, 2, 3, 1]]) assertEquals(lookUp(tokens, 3), []);
  assertEquals(lookUp([1, 2, 3, 1, 2], 0), []);
});
