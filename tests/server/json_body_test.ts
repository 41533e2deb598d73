import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { ApiError } from "../../src/server/api_error.ts";
import { parseJsonBody } from "../../src/server/json_body.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("parseJsonBody() counts brackets outside of strings only", () => {
  const deep = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
  assertEquals(typeof parseJsonBody(bytes(deep(64))), "object");
  assertThrows(() => parseJsonBody(bytes(deep(65))), ApiError, "64 levels");
  assertThrows(() => parseJsonBody(bytes("[".repeat(1_000_000))), ApiError, "64 levels");
  const text = `${"[{".repeat(99)}\\"${"[".repeat(99)}`;
  assertEquals(parseJsonBody(bytes(`{"a": ${JSON.stringify(text)}}`)), { a: text });
});

Deno.test("parseJsonBody() reads what JSON.stringify writes, and of anything else says 400 without quoting it", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      assertEquals(JSON.stringify(parseJsonBody(bytes(JSON.stringify(value)))), JSON.stringify(value));
    }),
    { numRuns: 200 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (body) => {
      try {
        parseJsonBody(body);
      } catch (error) {
        assertEquals([error instanceof ApiError, (error as ApiError).status], [true, 400]);
      }
    }),
    { numRuns: 500 },
  );
  const { message } = assertThrows(() => parseJsonBody(bytes('{"secret": hush')), ApiError);
  assertEquals(message.includes("hush") || message.includes("secret"), false);
});
