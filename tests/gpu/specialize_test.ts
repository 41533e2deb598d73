import { assertEquals, assertThrows } from "@std/assert";
import { specialize, unroll } from "../../src/gpu/specialize.ts";

const tidy = (text: string) => text.split("\n").map((line) => line.trim()).filter((line) => line !== "").join(" ");

Deno.test("specialize() puts constants and aliases before the sources", () => {
  assertEquals(specialize(["fn a() {}", "fn b() {}"], { N: 64, FLAG: true, Word: "u32" }).split("\n"), [
    "const N = 64u;",
    "const FLAG = true;",
    "alias Word = u32;",
    "fn a() {}",
    "fn b() {}",
  ]);
});

Deno.test("unroll() writes a marked loop's body once for each value, and leaves other loops alone", () => {
  const text = `for (var i = 0; i < 3; i++) { // @unroll
    x[i] = i2 + f(i);
  }
  for (var i = 0u; i < 3u; i++) {
    y[i] = 0;
  }`;
  assertEquals(
    tidy(unroll(text, {})),
    "{ x[0u] = i2 + f(0u); } { x[1u] = i2 + f(1u); } { x[2u] = i2 + f(2u); } for (var i = 0u; i < 3u; i++) { y[i] = 0; }",
  );
});

Deno.test("unroll() takes bounds and strides from the constants, nested loops too", () => {
  const text = `for (var i = 1; i < N; i += STEP) { // @unroll
    for (var j = i; j < 3; j++) { // @unroll
      if (a) { s += x[i * 8u + j]; }
    }
  }`;
  assertEquals(
    tidy(unroll(text, { N: 5, STEP: 2 })).replaceAll(/[{}] ?/g, ""),
    "if (a) s += x[1u * 8u + 1u]; if (a) s += x[1u * 8u + 2u]; ",
  );
  assertEquals(tidy(unroll("for (var i = 2; i < 2; i++) { // @unroll\n x(i);\n}", {})), "");
});

Deno.test("unroll() says which loop it cannot unroll", () => {
  for (
    const [line, includes] of [
      ["for (var i = 0; i < n; i++) { // @unroll\n}", "bounded by n"],
      ["for (var i = 0; i < FLAG; i++) { // @unroll\n}", "bounded by FLAG"],
      ["for (var i = 0; i <= 4; i++) { // @unroll\n}", "for (var i = 0; i <= 4; i++)"],
      ["while (true) { // @unroll\n}", "while (true)"],
      ["for (var i = 0; i < 4; i++) { // @unroll\n if (x) {\n}", "closing brace"],
    ] as const
  ) {
    assertThrows(() => unroll(line, { FLAG: true }), Error, includes);
  }
});
