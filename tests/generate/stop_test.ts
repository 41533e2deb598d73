import { assertEquals, assertThrows } from "@std/assert";
import { resolveStop } from "../../src/generate/stop.ts";

Deno.test("resolveStop() fills in defaults and takes one string or many", () => {
  assertEquals(resolveStop({}), { maxTokens: 256, stop: [] });
  assertEquals(resolveStop({ maxTokens: 1, stop: "." }), { maxTokens: 1, stop: ["."] });
  assertEquals(resolveStop({ stop: ["a", "b"] }).stop, ["a", "b"]);
});

Deno.test("resolveStop() names what is wrong and its value", () => {
  for (const maxTokens of [0, -1, 1.5, NaN, Infinity, 2 ** 53]) {
    assertThrows(() => resolveStop({ maxTokens }), RangeError, `maxTokens ${maxTokens}`);
  }
  assertThrows(() => resolveStop({ stop: ["a", ""] }), RangeError, "empty string");
  assertThrows(() => resolveStop({ stop: Array(65).fill("x") }), RangeError, "65 stop strings");
  assertThrows(() => resolveStop({ stop: [1 as unknown as string] }), TypeError, "stop at 1");
});
