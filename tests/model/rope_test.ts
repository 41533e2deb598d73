import { assert, assertEquals, assertThrows } from "@std/assert";
import { FormatError } from "../../src/errors.ts";
import {
  blendFrequencies,
  findCorrectionDim,
  findCorrectionRange,
  linearRampMask,
  parseRopeScaling,
  ropeFrequencies,
  yarnMscale,
  type YarnScaling,
} from "../../src/model/rope.ts";
import { hostRopeTable } from "../../src/kernels/rope_table.ts";

interface Vector {
  name: string;
  config: Record<string, unknown> & { head_dim: number; rope_scaling?: Record<string, unknown> };
  inv_freq: number[];
  attention_scaling: number;
  checks?: { pos: number; cos: number[]; sin: number[] }[];
}

const { vectors } = JSON.parse(
  await Deno.readTextFile(new URL("../testdata/rope/vectors.json", import.meta.url)),
) as { vectors: Vector[] };

const yarn: YarnScaling = {
  type: "yarn",
  factor: 16,
  originalMaxPositionEmbeddings: 4096,
  betaFast: 32,
  betaSlow: 1,
  truncate: true,
};

/** Steps between two float32 numbers of one sign. */
function ulps(a: number, b: number): number {
  const [x, y] = new Int32Array(new Float32Array([a, b]).buffer) as unknown as [number, number];
  return Math.abs(x - y);
}

for (const vector of vectors) {
  Deno.test(`ropeFrequencies() equals transformers on ${vector.name}`, () => {
    // A part of the head is rotated in one vector; the factory takes the rotated part's size.
    const { partial_rotary_factor: partial = 1, ...fields } = vector.config.rope_scaling ?? {};
    const config = vector.config.rope_scaling === undefined
      ? vector.config
      : { ...vector.config, rope_scaling: fields };
    const { scaling, ropeTheta } = parseRopeScaling(config);
    const rotaryDim = vector.config.head_dim * (partial as number);
    const actual = ropeFrequencies(scaling, { rotaryDim, ropeTheta });
    assertEquals(actual.invFreq.length, vector.inv_freq.length);
    const allowed = ropeTheta === 1e4 || ropeTheta === 5e5 ? 0 : 1;
    vector.inv_freq.forEach((expected, j) => {
      const difference = ulps(actual.invFreq[j]!, expected);
      assert(difference <= allowed, `Frequency ${j} is ${actual.invFreq[j]}, expected ${expected} (${difference} ulp)`);
    });
    assertEquals(Math.fround(actual.attentionFactor), Math.fround(vector.attention_scaling));
    assertEquals(blendFrequencies(actual), actual.invFreq);
    for (const { pos, cos, sin } of vector.checks ?? []) {
      const table = hostRopeTable(actual, { firstPosition: pos, nPositions: 1 });
      // torch's own cosine is off by up to a unit in the last place, and its product with the factor by another.
      cos.forEach((expected, j) => assert(Math.abs(table[2 * j]! - expected) <= 2 ** -22, `cos ${j} at ${pos}`));
      sin.forEach((expected, j) => assert(Math.abs(table[2 * j + 1]! - expected) <= 2 ** -22, `sin ${j} at ${pos}`));
    }
  });
}

Deno.test("findCorrectionRange() gives the bounds of the published checkpoints", () => {
  const llama = { rotaryDim: 128, ropeTheta: 10000 };
  assertEquals(findCorrectionRange(yarn, llama), [20, 46]);
  assertEquals(findCorrectionRange({ ...yarn, originalMaxPositionEmbeddings: 2048 }, llama), [16, 41]);
  const mistral = { ...yarn, originalMaxPositionEmbeddings: 8192, betaFast: 128, betaSlow: 2 };
  assertEquals(findCorrectionRange(mistral, llama), [16, 46]);
  const [low, high] = findCorrectionRange({ ...yarn, truncate: false }, { rotaryDim: 64, ropeTheta: 150000 });
  assertEquals([low.toFixed(4), high.toFixed(4)], ["8.0928", "17.3980"]);
  assertEquals(findCorrectionDim(32, { ...llama, maxPositionEmbeddings: 4096 }).toFixed(3), "20.944");
});

Deno.test("linearRampMask() survives a ramp of no length", () => {
  assertEquals([...linearRampMask(2, 2, 4)], [0, 0, 0, 1]);
  assertEquals([...linearRampMask(0, 4, 5)], [0, 0.25, 0.5, 0.75, 1]);
});

Deno.test("yarnMscale() never lowers the logits", () => {
  assertEquals(yarnMscale(1), 1);
  assertEquals(yarnMscale(0.5), 1);
  assertEquals(yarnMscale(16), 1.2772588722239782);
});

Deno.test("ropeFrequencies() of YaRN with factor 1 is plain RoPE", () => {
  const shape = { rotaryDim: 128, ropeTheta: 10000 };
  const scaled = ropeFrequencies({ ...yarn, factor: 1 }, shape);
  const plain = ropeFrequencies({ type: "none" }, shape);
  assertEquals(scaled.attentionFactor, 1);
  // The blend of two equal numbers may be rounded once more than the number itself.
  scaled.invFreq.forEach((frequency, j) => assert(ulps(frequency, plain.invFreq[j]!) <= 1));
});

const base = { max_position_embeddings: 65536, rope_theta: 10000 };

Deno.test("parseRopeScaling() reads both spellings alike", () => {
  const old = parseRopeScaling({
    ...base,
    rope_scaling: { type: "yarn", factor: 16, original_max_position_embeddings: 4096, finetuned: true },
  });
  const current = parseRopeScaling({
    max_position_embeddings: 65536,
    rope_parameters: { rope_type: "yarn", factor: 16, original_max_position_embeddings: 4096, rope_theta: 10000 },
  });
  assertEquals(old, { scaling: { ...yarn, finetuned: true }, ropeTheta: 10000, source: "rope_scaling" });
  assertEquals(current, { scaling: yarn, ropeTheta: 10000, source: "rope_parameters" });
});

Deno.test("parseRopeScaling() works a missing factor out from the lengths", () => {
  const { scaling } = parseRopeScaling({
    ...base,
    rope_scaling: { type: "yarn", factor: null, original_max_position_embeddings: 8192 },
  });
  assertEquals(scaling.type === "yarn" && scaling.factor, 8);
  const outside = parseRopeScaling({
    ...base,
    original_max_position_embeddings: 2048,
    rope_scaling: { type: "yarn", original_max_position_embeddings: 8192 },
  });
  assertEquals(outside.scaling.type === "yarn" && outside.scaling.factor, 32);
});

Deno.test("parseRopeScaling() takes a model without scaling", () => {
  const plain = { scaling: { type: "none" }, ropeTheta: 10000, source: "none" } as const;
  assertEquals(parseRopeScaling({}), plain);
  assertEquals(parseRopeScaling({ ...base, rope_scaling: null }), plain);
  assertEquals(parseRopeScaling({ rope_parameters: { rope_type: "default", rope_theta: 5e5 } }).ropeTheta, 5e5);
  assertEquals(parseRopeScaling({ rope_theta: 1e6, rope_scaling: null }).ropeTheta, 1e6);
});

const refused: [string, Record<string, unknown>, string][] = [
  ["an unknown type", { type: "warp", factor: 2 }, 'has RoPE type "warp"'],
  ["a type of the object prototype", { type: "toString" }, 'has RoPE type "toString"'],
  ["an unknown key", { type: "yarn", factor: 2, attn_factor: 2 }, 'of rope_scaling has no key "attn_factor" (2)'],
  [
    "a key of another type",
    { type: "linear", factor: 2, beta_fast: 32 },
    'RoPE type "linear" of rope_scaling has no key "beta_fast"',
  ],
  ["a factor of the wrong type", { type: "yarn", factor: "16" }, 'rope_scaling.factor is "16", expected a number'],
  ["a factor of zero", { type: "linear", factor: 0 }, "rope_scaling.factor is 0, expected a number over 0"],
  ["no factor", { type: "linear" }, "rope_scaling.factor is missing, expected a number over 0"],
  ["a negative attention factor", { type: "yarn", factor: 2, attention_factor: -1 }, "is -1"],
  ["betas in the wrong order", { type: "yarn", factor: 2, beta_slow: 64 }, "beta_slow is 64"],
  [
    "a flag that is a word",
    { type: "yarn", factor: 2, truncate: "no" },
    'truncate is "no", expected true or false',
  ],
  ["a base below 1", { type: "yarn", factor: 2, rope_theta: 0 }, "rope_scaling.rope_theta is 0"],
  ["a type that is a number", { rope_type: 3 }, "rope_scaling.rope_type is 3, expected a string"],
  [
    "a partly rotated head",
    { type: "yarn", factor: 2, partial_rotary_factor: 0.5 },
    "partial_rotary_factor is 0.5",
  ],
];
for (const [what, rope_scaling, message] of refused) {
  Deno.test(`parseRopeScaling() refuses ${what}`, () => {
    assertThrows(() => parseRopeScaling({ ...base, rope_scaling }, "config.json"), FormatError, message);
  });
}

Deno.test("parseRopeScaling() refuses what is no object, and lengths that are none", () => {
  assertThrows(() => parseRopeScaling({ rope_scaling: 8 }), FormatError, "rope_scaling is 8, expected an object");
  assertThrows(
    () => parseRopeScaling({ rope_scaling: { type: "yarn", factor: 2 } }),
    FormatError,
    "max_position_embeddings is missing, expected a whole number over 0",
  );
});
