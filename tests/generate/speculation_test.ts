import { assertEquals, assertThrows } from "@std/assert";
import { resolveSampling, type SamplingOptions } from "../../src/generate/sampling.ts";
import { resolveSpeculation } from "../../src/generate/speculation.ts";

const resolve = (speculate?: number, sampling: SamplingOptions = {}) =>
  resolveSpeculation(speculate === undefined ? {} : { speculate }, resolveSampling(sampling, 100), 16);

Deno.test("resolveSpeculation() is off by default and takes what a pass holds beside one token", () => {
  assertEquals([resolve(), resolve(0), resolve(1), resolve(15)], [0, 0, 1, 15]);
  for (const speculate of [-1, 1.5, 16, NaN]) {
    assertThrows(
      () => resolve(speculate),
      RangeError,
      `from 0 to 15, for less than maxBatch and prefillChunk, got ${speculate}`,
    );
  }
});

Deno.test("resolveSpeculation() refuses all but plain greedy selection, by name", () => {
  const cases: [SamplingOptions, string][] = [
    [{ temperature: 0.5 }, "temperature 0.5"],
    [{ seed: 1 }, "temperature 1"],
    [{ repetitionPenalty: 1.1 }, "repetitionPenalty 1.1"],
    [{ presencePenalty: 1 }, "presencePenalty 1"],
    [{ frequencyPenalty: 1 }, "frequencyPenalty 1"],
    [{ logitBias: { 3: 1 } }, "logitBias"],
    [{ topLogprobs: 0 }, "topLogprobs"],
  ];
  for (const [sampling, name] of cases) {
    assertThrows(() => resolve(4, sampling), RangeError, `Cannot speculate with ${name}:`);
    assertEquals(resolve(0, sampling), 0);
  }
});
