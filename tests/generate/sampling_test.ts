import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { resolveSampling, type SamplingOptions } from "../../src/generate/sampling.ts";

Deno.test("resolveSampling() is greedy unless sampling is asked for", () => {
  const { seed, ...greedy } = resolveSampling();
  assert(Number.isSafeInteger(seed) && seed >= 0);
  assertEquals(greedy, { repetitionPenalty: 1, temperature: 0, topK: 0, topP: 1, minP: 0 });
  assertEquals(resolveSampling({ repetitionPenalty: 1.2 }).temperature, 0);
  for (const options of [{ topK: 5 }, { topP: 0.5 }, { minP: 0.1 }, { seed: 0 }]) {
    assertEquals(resolveSampling(options).temperature, 1);
    assertEquals(resolveSampling({ ...options, temperature: 0 }).temperature, 0);
  }
});

Deno.test("resolveSampling() passes on what it is given", () => {
  const sampling = {
    repetitionPenalty: 1.1,
    temperature: 0.7,
    topK: 40,
    topP: 0.95,
    minP: 0.05,
    seed: Number.MAX_SAFE_INTEGER,
  };
  assertEquals(resolveSampling(sampling), sampling);
});

Deno.test("resolveSampling() draws another seed each time", () => {
  const seeds = new Set(Array.from({ length: 20 }, () => resolveSampling({ temperature: 1 }).seed));
  assert(seeds.size > 15);
});

const RANGES: readonly [keyof SamplingOptions, readonly number[], readonly number[]][] = [
  ["temperature", [0, 1e-4, 0.7, 100], [-1, -1e-9, 1e-5, 100.1, 1e300]],
  ["topK", [1, 40, 1e6, Number.MAX_SAFE_INTEGER], [0, -1, 0.5, 1.5, 2 ** 53, 1e300]],
  ["topP", [1e-12, 0.5, 1], [0, -0.1, 1.0000001, 95]],
  ["minP", [0, 0.05, 1], [-0.1, 1.1, 1e300]],
  ["repetitionPenalty", [0.01, 1, 1.2, 100], [0, -1, 0.009, 101, 1e300]],
  ["seed", [0, 1, 2 ** 32, Number.MAX_SAFE_INTEGER], [-1, 0.5, 2 ** 53, 1e300]],
];

for (const [name, good, bad] of RANGES) {
  Deno.test(`resolveSampling() takes ${name} in its range only, and names it with its value`, () => {
    for (const value of good) assertEquals(resolveSampling({ [name]: value })[name], value);
    for (const value of [...bad, NaN, Infinity, -Infinity]) {
      const { message } = assertThrows(() => resolveSampling({ [name]: value }), RangeError, `${name} must be `);
      assertStringIncludes(message, `got ${value}`);
    }
    for (const value of ["1", null, {}, [], true, 1n, () => 1, Symbol("one"), "x".repeat(1e6)]) {
      const { message } = assertThrows(
        () => resolveSampling({ [name]: value } as unknown as SamplingOptions),
        TypeError,
        `${name} must be a number, got ${value === null ? "null" : typeof value}`,
      );
      assert(message.length < 100);
    }
  });
}

Deno.test("resolveSampling() either throws or returns numbers that the kernels can take", () => {
  const anything = fc.oneof(fc.constant(undefined), fc.double(), fc.integer(), fc.anything());
  fc.assert(fc.property(
    fc.record({
      temperature: anything,
      topK: anything,
      topP: anything,
      minP: anything,
      repetitionPenalty: anything,
      seed: anything,
    }),
    (options) => {
      let sampling;
      try {
        sampling = resolveSampling(options as SamplingOptions);
      } catch (error) {
        assert(error instanceof RangeError || error instanceof TypeError);
        return;
      }
      for (const value of Object.values(sampling)) assert(Number.isFinite(value) && value >= 0);
    },
  ));
});
