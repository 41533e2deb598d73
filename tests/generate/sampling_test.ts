import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { resolveSampling, type SamplingOptions } from "../../src/generate/sampling.ts";

Deno.test("resolveSampling() is greedy unless sampling is asked for", () => {
  const { seed, ...greedy } = resolveSampling();
  assert(Number.isSafeInteger(seed) && seed >= 0);
  assertEquals(greedy, {
    logitBias: [],
    repetitionPenalty: 1,
    presencePenalty: 0,
    frequencyPenalty: 0,
    temperature: 0,
    topK: 0,
    topP: 1,
    minP: 0,
  });
  assertEquals(resolveSampling({ repetitionPenalty: 1.2 }).temperature, 0);
  for (const options of [{ topK: 5 }, { topP: 0.5 }, { minP: 0.1 }, { seed: 0 }]) {
    assertEquals(resolveSampling(options).temperature, 1);
    assertEquals(resolveSampling({ ...options, temperature: 0 }).temperature, 0);
  }
});

Deno.test("resolveSampling() passes on what it is given", () => {
  const sampling = {
    repetitionPenalty: 1.1,
    presencePenalty: 0.5,
    frequencyPenalty: -0.5,
    temperature: 0.7,
    topK: 40,
    topP: 0.95,
    minP: 0.05,
    seed: Number.MAX_SAFE_INTEGER,
  };
  assertEquals(resolveSampling(sampling), { ...sampling, logitBias: [] });
  assertEquals(resolveSampling({ logitBias: { 7: -100, 0: 0.5 } }).logitBias, [[0, 0.5], [7, -100]]);
});

Deno.test("resolveSampling() draws another seed each time", () => {
  const seeds = new Set(Array.from({ length: 20 }, () => resolveSampling({ temperature: 1 }).seed));
  assert(seeds.size > 15);
});

Deno.test("resolveSampling() takes biases of ids in the vocabulary only", () => {
  const biases = (logitBias: unknown) => () => resolveSampling({ logitBias } as SamplingOptions, 100);
  assertThrows(biases({ 100: 1 }), RangeError, 'token ids from 0 to 99 as keys, got "100"');
  for (const key of ["-1", "1.5", "1e1", "x", "", "01", "9".repeat(99)]) {
    assertThrows(biases({ [key]: 1 }), RangeError, "as keys, got ");
  }
  for (const bias of [100.5, -101, NaN, Infinity]) {
    assertThrows(biases({ 3: bias }), RangeError, `logitBias[3] must be from -100 to 100, got ${bias}`);
  }
  for (const bias of ["1", null, {}]) assertThrows(biases({ 3: bias }), TypeError, "logitBias[3] must be a number");
  for (const other of [[1], "x", 5, null]) assertThrows(biases(other), TypeError, "logitBias must be an object");
  const many = Object.fromEntries(Array.from({ length: 1025 }, (_, id) => [id, 1]));
  assertThrows(() => resolveSampling({ logitBias: many }), RangeError, "at most 1024 entries, got 1025");
});

const RANGES: readonly [Exclude<keyof SamplingOptions, "logitBias">, readonly number[], readonly number[]][] = [
  ["temperature", [0, 1e-4, 0.7, 100], [-1, -1e-9, 1e-5, 100.1, 1e300]],
  ["topK", [1, 40, 1e6, Number.MAX_SAFE_INTEGER], [0, -1, 0.5, 1.5, 2 ** 53, 1e300]],
  ["topP", [1e-12, 0.5, 1], [0, -0.1, 1.0000001, 95]],
  ["minP", [0, 0.05, 1], [-0.1, 1.1, 1e300]],
  ["repetitionPenalty", [0.01, 1, 1.2, 100], [0, -1, 0.009, 101, 1e300]],
  ["presencePenalty", [-2, 0, 2], [-2.1, 2.1, 1e300]],
  ["frequencyPenalty", [-2, 0, 2], [-2.1, 2.1, 1e300]],
  ["topLogprobs", [0, 1, 20], [-1, 0.5, 21, 2 ** 53]],
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
      const { logitBias, presencePenalty, frequencyPenalty, ...positive } = sampling;
      assertEquals(logitBias, []);
      for (const value of [presencePenalty, frequencyPenalty]) assert(Math.abs(value) <= 2);
      for (const value of Object.values(positive)) assert(Number.isFinite(value) && value >= 0);
    },
  ));
});
