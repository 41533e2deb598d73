import { assert, assertEquals } from "@std/assert";
import { defineKernel } from "../../src/gpu/kernel.ts";
import type { ResolvedSampling } from "../../src/kernels/sample.ts";
import { createSelection, select } from "../../src/kernels/select.ts";
import * as wgsl from "../../wgsl/mod.ts";
import { argmax } from "../reference/argmax.ts";
import { draw, philox, probabilities } from "../reference/sample.ts";
import { gpu, randomFloats, upload } from "./fixture.ts";
import { drawMany, normals, PLAIN, words } from "./selection_fixture.ts";

const LOGITS: Readonly<Record<string, (vocabSize: number) => Float32Array<ArrayBuffer>>> = {
  "normal": (vocabSize) => normals(vocabSize, vocabSize, 3),
  "equal": (vocabSize) => new Float32Array(vocabSize).fill(1.5),
  "tied": (vocabSize) => normals(vocabSize, vocabSize, 2).map(Math.round),
  "wide": (vocabSize) => normals(vocabSize, vocabSize, 1e4),
  "extreme": (vocabSize) => Float32Array.from({ length: vocabSize }, (_, i) => [-3.4e38, 3.4e38, 3.4e38, 0][i % 4]!),
  "lowest": (vocabSize) => new Float32Array(vocabSize).fill(-3.4e38),
};

const SETTINGS: readonly Partial<ResolvedSampling>[] = [
  { seed: 1 },
  { temperature: 0.7, topK: 40, topP: 0.95, minP: 0.05, seed: 2 },
  { topK: 1, seed: 3 },
  { topP: 1e-12, seed: 4 },
  { minP: 1, seed: 5 },
  { topK: 1000, seed: 6 },
  { topP: 0.5, seed: 7 },
  { temperature: 100, topP: 0.9, seed: Number.MAX_SAFE_INTEGER },
  { temperature: 1e-4, topK: 7, topP: 0.99, seed: 2 ** 32 },
];

for (const vocabSize of [1, 97, 4096, 4097, 49152, 128256]) {
  for (const [name, make] of Object.entries(LOGITS)) {
    Deno.test(`select() draws what the integer twin draws from ${vocabSize} ${name} logits`, async () => {
      const logits = make(vocabSize);
      const settings = vocabSize > 5000 ? SETTINGS.slice(0, 2) : SETTINGS;
      for (const setting of settings) {
        const sampling = { ...PLAIN, ...setting };
        const { ids, masses } = await drawMany(logits, sampling, 3);
        assertEquals(ids, ids.map((_, count) => draw(logits, masses, sampling, count)), JSON.stringify(sampling));
        if (sampling.topK === 1 || sampling.topP < 1e-9) assertEquals(ids, Array(3).fill(argmax(logits)));
      }
    });
  }
}

/** Upper bound of chi-square that chance exceeds once in about 30,000 runs (Wilson and Hilferty, 1931; 4 sigma). */
function chiSquareBound(freedom: number): number {
  return freedom * (1 - 2 / (9 * freedom) + 4 * Math.sqrt(2 / (9 * freedom))) ** 3;
}

for (
  const setting of [
    {},
    { temperature: 0.6 },
    { temperature: 3 },
    { topK: 5 },
    { topP: 0.8 },
    { minP: 0.1 },
    { temperature: 1.3, topK: 20, topP: 0.9, minP: 0.02 },
    { temperature: 2, topK: 60, topP: 0.99, seed: 99 },
  ]
) {
  Deno.test(`select() draws with the exact frequencies for ${JSON.stringify(setting)}`, async () => {
    const sampling = { ...PLAIN, seed: 12345, ...setting };
    const logits = normals(97, 8, 2);
    const nDraws = 2048;
    const exact = probabilities(logits, sampling);
    const observed = new Float64Array(97);
    for (const id of (await drawMany(logits, sampling, nDraws)).ids) observed[id]!++;
    let chiSquare = 0;
    let groups = 0;
    let rest = { expected: 0, observed: 0 };
    for (const [id, p] of exact.entries()) {
      if (p === 0) assertEquals(observed[id], 0, `Token ${id} is filtered out and was drawn`);
      // Groups that are expected less than ten times are joined, as the test's approximation demands.
      rest = { expected: rest.expected + p * nDraws, observed: rest.observed + observed[id]! };
      if (rest.expected < 10) continue;
      chiSquare += (rest.observed - rest.expected) ** 2 / rest.expected;
      rest = { expected: 0, observed: 0 };
      groups++;
    }
    assert(groups >= 2, "The filters leave too little to test");
    const bound = chiSquareBound(groups - 1);
    assert(chiSquare <= bound, `Chi-square ${chiSquare} of ${groups} groups is over ${bound}`);
  });
}

Deno.test("select() repeats with the same seed, and goes another way with another one", async () => {
  const logits = normals(4096, 1, 1);
  const ids = async (seed: number) => (await drawMany(logits, { ...PLAIN, seed }, 40)).ids;
  assertEquals(await ids(7), await ids(7));
  for (const seed of [8, 7 + 2 ** 32]) assert(String(await ids(7)) !== String(await ids(seed)));
});

Deno.test("select() with sampling tells of a NaN or an infinity instead of choosing", async () => {
  for (const odd of [NaN, Infinity, -Infinity]) {
    for (const id of [0, 4999]) {
      const values = randomFloats(5000, 1, 10);
      values[id] = odd;
      const selection = createSelection(gpu, 5000, 1);
      using logits = upload("logits", values, [5000]);
      using state = gpu.createTensor("state", "u32", [8]);
      using token = gpu.createTensor("token", "u32", [1]);
      const recorder = gpu.record();
      const sampling = { ...PLAIN, temperature: 0.8, topK: 40, topP: 0.9, minP: 0.1, repetitionPenalty: 1.2 };
      select(recorder, { logits, state, token, selection, nStopIds: 0, sampling });
      gpu.submit([recorder]);
      assertEquals([...await words(state)], [0, 2, 0, 0, 0, 0, 0, 0]);
      selection.dispose();
    }
  }
});

Deno.test("philox gives the published known answers", async () => {
  // From kat_vectors of Random123 1.14, lines "philox4x32 10".
  const cases: [number[], number[], number[]][] = [
    [[0, 0, 0, 0], [0, 0], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]],
    [Array(4).fill(0xffffffff), Array(2).fill(0xffffffff), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ];
  const kernel = defineKernel({
    name: "philox",
    source: [
      wgsl.shared_u64,
      wgsl.shared_philox,
      `@group(0) @binding(0) var<storage, read> input: array<u32>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4u>;
@compute @workgroup_size(1) fn main() {
  out[0] = philox(vec4u(input[0], input[1], input[2], input[3]), vec2u(input[4], input[5]));
}`,
    ],
    constants: [],
    bindings: { input: "read", out: "read_write" },
    params: {},
    workgroups: () => [1],
    cost: () => 1,
  });
  for (const [counter, key, expected] of cases) {
    assertEquals(philox(counter, key), expected);
    using input = gpu.tensorOf("input", "u32", [6], Uint32Array.from([...counter, ...key]));
    using out = gpu.createTensor("out", "u32", [4]);
    const recorder = gpu.record();
    recorder.dispatch(kernel, { input, out }, {}, {});
    gpu.submit([recorder]);
    assertEquals([...await words(out)], expected);
  }
});
