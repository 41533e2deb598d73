import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { headStart, Pacer, SUBMIT_MS } from "../../src/gpu/pacer.ts";

Deno.test("a pacer finds a device's speed from a first guess that is far off", () => {
  for (const speed of [1e3, 1e6, 1e9]) {
    const pacer = new Pacer(1e6);
    for (let submit = 0; submit < 40; submit++) pacer.observe(pacer.budget, pacer.budget / speed);
    const ms = pacer.budget / speed;
    assert(Math.abs(ms - SUBMIT_MS) < 0.05 * SUBMIT_MS, `A submit takes ${ms} ms`);
  }
});

Deno.test("a pacer gives way at once when the device slows down", () => {
  const pacer = new Pacer(1000);
  pacer.observe(50_000, 100);
  assert(pacer.budget / 500 < 1.4 * SUBMIT_MS);
});

Deno.test("a pacer keeps a budget over zero whatever it measures", () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.double(), fc.double())), (measurements) => {
    const pacer = new Pacer(1000);
    for (const [work, ms] of measurements) pacer.observe(work, ms);
    assert(pacer.budget > 0);
  }));
  const pacer = new Pacer(1000);
  for (const [work, ms] of [[0, 1], [1, 0], [NaN, 1], [1, NaN], [-1, 1]] as const) pacer.observe(work, ms);
  assertEquals(pacer.budget, 1000 * SUBMIT_MS);
});

Deno.test("a pacer knows the least time of some work by the fastest of late", () => {
  const pacer = new Pacer(1);
  assertEquals(pacer.leastMs(100), 0);
  pacer.observe(100, 10);
  pacer.observe(100, 40);
  assert(pacer.leastMs(100) >= 10 && pacer.leastMs(100) < 11);
  for (let submit = 0; submit < 100; submit++) pacer.observe(100, 40);
  assertEquals(pacer.leastMs(100), 40);
});

Deno.test("long waits leave the event loop most of the time that they take at least, short ones nothing", () => {
  assertEquals([0, 10, 40, 100, 1e9].map(headStart), [0, 0, 30, 75, 75]);
});
