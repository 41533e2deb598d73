import { assertEquals } from "@std/assert";
import { counted } from "../../src/cli/counted.ts";

Deno.test("counted() says one thing, and any other number of things", () => {
  assertEquals([0, 1, 2, 11].map((count) => counted(count, "token")), ["0 tokens", "1 token", "2 tokens", "11 tokens"]);
});
