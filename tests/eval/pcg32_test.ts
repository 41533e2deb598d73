import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { Pcg32 } from "../../src/eval/pcg32.ts";

Deno.test("Pcg32 gives the numbers of the reference implementation's demo", () => {
  const random = new Pcg32(42);
  assertEquals(
    Array.from({ length: 6 }, () => random.integer(0, 2 ** 32 - 1)),
    [0xa15c02b7, 0x7b47f409, 0xba1d3330, 0x83d2f293, 0xbfa4784b, 0xcbed606e],
  );
});

Deno.test("Pcg32.integer() stays within its bounds, and the same seed gives the same numbers", () => {
  fc.assert(fc.property(fc.nat(), fc.nat(2 ** 31), fc.nat(2 ** 31), (seed, low, count) => {
    const [one, other] = [new Pcg32(seed), new Pcg32(seed)];
    for (let i = 0; i < 5; i++) {
      const value = one.integer(low, low + count);
      assert(value >= low && value <= low + count);
      assertEquals(other.integer(low, low + count), value);
    }
  }));
});

Deno.test("Pcg32.integer() draws every number about as often", () => {
  const random = new Pcg32(7);
  const times = new Array<number>(10).fill(0);
  for (let i = 0; i < 10000; i++) times[random.integer(0, 9)]!++;
  // Four standard deviations of a count of mean 1000.
  assert(times.every((count) => Math.abs(count - 1000) < 120), times.join(" "));
});
