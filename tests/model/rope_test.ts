import { assert, assertEquals, assertThrows } from "@std/assert";
import { FormatError } from "../../src/errors.ts";
import {
  blendFrequencies,
  createRope,
  findCorrectionDim,
  findCorrectionRange,
  linearRampMask,
  parseRopeScaling,
  ropeFrequencies,
  type RopeScaling,
  ropeShape,
  yarnMscale,
  type YarnScaling,
} from "../../src/model/rope.ts";
import { hostRopeTable } from "../../src/kernels/rope_table.ts";

interface Vector {
  name: string;
  config: Record<string, unknown> & { head_dim?: number };
  inv_freq: number[];
  attention_scaling: number;
  /** Tokens of the input; absent or null at construction. */
  length?: number | null;
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

/**
 * Asserts frequencies equal to a vector's: to the bit where the base is 1e4 or 5e5, and to 1 ulp elsewhere, because
 * torch's own power is not correctly rounded. That also goes for exponents in 96ths.
 */
function assertFrequencies(actual: Float32Array, expected: readonly number[], base: number): void {
  assertEquals(actual.length, expected.length);
  const allowed = (base === 1e4 || base === 5e5) && expected.length !== 48 ? 0 : 1;
  expected.forEach((value, j) => {
    const difference = ulps(actual[j]!, value);
    assert(difference <= allowed, `Frequency ${j} is ${actual[j]}, expected ${value} (${difference} ulp)`);
  });
}

for (const vector of vectors) {
  Deno.test(`ropeFrequencies() equals transformers on ${vector.name}`, () => {
    const settings = parseRopeScaling(vector.config);
    const { hidden_size, num_attention_heads, head_dim } = vector.config;
    const shape = ropeShape(settings, head_dim ?? (hidden_size as number) / (num_attention_heads as number));
    const actual = ropeFrequencies(settings.scaling, shape, vector.length ?? 0);
    // Dynamic NTK has another base.
    assertFrequencies(actual.invFreq, vector.inv_freq, settings.scaling.type === "dynamic" ? 0 : shape.ropeTheta);
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

/** A class of jquesnelle/yarn with its arguments, and what it computed. */
interface ClassVector {
  name: string;
  file: string;
  class: string;
  args: Record<string, number | boolean | undefined>;
  length: number | null;
  inv_freq: number[];
  attention_scaling: number;
  /** What positions are multiplied by. */
  position_scale?: number;
}

const jquesnelle = JSON.parse(
  await Deno.readTextFile(new URL("../testdata/rope/jquesnelle_yarn.json", import.meta.url)),
) as { vectors: ClassVector[] };

/** The scaling that a class computes, with the defaults of its arguments. */
function scalingOf({ file, class: name, args }: ClassVector): RopeScaling {
  const number = (key: string, fallback: number) => (args[key] as number | undefined) ?? fallback;
  const maxPositionEmbeddings = number("max_position_embeddings", 2048);
  const originalMaxPositionEmbeddings = number("original_max_position_embeddings", 2048);
  const finetuned = args.finetuned === true;
  const factor = number("scale", number("scaling_factor", number("alpha", 1)));
  const lengths = { factor, maxPositionEmbeddings, originalMaxPositionEmbeddings, finetuned };
  if (name.includes("PartNTK")) {
    return {
      ...{ type: name.includes("Dynamic") ? "dynamic-part-ntk" : "part-ntk", ...lengths },
      ...{ ntkFactor: number("ntk_factor", 1), extrapolationFactor: number("extrapolation_factor", 1) },
    };
  }
  if (name.includes("YaRN")) {
    const isMistral = name.startsWith("Mistral");
    const ramp = {
      ...{ betaFast: isMistral ? 128 : 32, betaSlow: isMistral ? 2 : 1, truncate: true },
      ...{ extrapolationFactor: number("extrapolation_factor", 1), ...(isMistral ? { logWeight: 0.07 } : {}) },
    };
    if (name.includes("Dynamic") || args.dynamic === true) {
      const rule = file === "modeling_mistral_yarn" ? "modeling_llama_yarn" : file;
      return {
        ...{ type: "dynamic-yarn", ...lengths, ...ramp },
        rule: rule === "modeling_llama_yarn" || rule === "modeling_llama_together_yarn" ? rule : "standalone",
      };
    }
    const attentionFactor = args.attn_factor === undefined
      ? {}
      : { attentionFactor: number("attn_factor", 1) * yarnMscale(factor) };
    return { type: "yarn", factor, originalMaxPositionEmbeddings, finetuned, ...ramp, ...attentionFactor };
  }
  if (name === "LlamaLinearScaledRotaryEmbedding") return { type: "linear", factor };
  if (name.endsWith("NTKScaledRotaryEmbedding")) return { type: "ntk", factor };
  if (name === "LlamaDynamicNTKScalingRotaryEmbedding") return { type: "dynamic", factor, maxPositionEmbeddings };
  return typeof args.ntk === "number"
    ? { type: "dynamic", factor: args.ntk, maxPositionEmbeddings }
    : { type: "dynamic-linear", factor: 1, maxPositionEmbeddings };
}

for (const vector of jquesnelle.vectors) {
  Deno.test(`ropeFrequencies() equals jquesnelle/yarn on ${vector.name}`, () => {
    const scaling = scalingOf(vector);
    const shape = { rotaryDim: 2 * vector.inv_freq.length, ropeTheta: 1e4 };
    const actual = ropeFrequencies(scaling, shape, vector.length ?? 0);
    const expected = vector.inv_freq.map((frequency) => Math.fround(frequency * (vector.position_scale ?? 1)));
    assertFrequencies(actual.invFreq, expected, scaling.type === "dynamic" ? 0 : 1e4);
    assert(Math.abs(actual.attentionFactor - vector.attention_scaling) < 1e-15);
  });
}

Deno.test("createRope() shares frequencies up to a scaling's switch", () => {
  const shape = { rotaryDim: 8, ropeTheta: 1e4 };
  const dynamic = createRope({ type: "dynamic", factor: 2, maxPositionEmbeddings: 64 }, shape);
  assertEquals([0, 64, 65, 66].map(dynamic.regimeOf), [0, 0, 65, 66]);
  assertEquals(dynamic.frequenciesAt(64) === dynamic.frequenciesAt(1), true);
  assert(dynamic.frequenciesAt(66).invFreq[1]! < dynamic.frequenciesAt(65).invFreq[1]!);
  const [shortFactor, longFactor] = [[1, 1, 1, 1], [1, 2, 4, 8]];
  const longrope = createRope(
    { type: "longrope", factor: 4, originalMaxPositionEmbeddings: 64, shortFactor, longFactor },
    shape,
  );
  assertEquals([64, 65, 1000].map(longrope.regimeOf), [0, 65, 65]);
  assertEquals(longrope.frequenciesAt(64).invFreq[3]! / longrope.frequenciesAt(1000).invFreq[3]!, 8);
  assertEquals(createRope(yarn, shape).regimeOf(1e6), 0);
});

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
  const rest = { ropeTheta: 10000, partialRotaryFactor: 1 };
  assertEquals(old, { ...rest, scaling: { ...yarn, finetuned: true }, source: "rope_scaling" });
  assertEquals(current, { ...rest, scaling: yarn, source: "rope_parameters" });
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

Deno.test("parseRopeScaling() knows the constants that Yarn-Mistral's code has and its config has not", () => {
  const config = {
    ...base,
    auto_map: { AutoModelForCausalLM: "NousResearch/Yarn-Mistral-7b-128k--modeling_mistral_yarn.MistralForCausalLM" },
    rope_scaling: { type: "yarn", factor: 16, original_max_position_embeddings: 8192, finetuned: true },
  };
  const { scaling, source } = parseRopeScaling(config);
  assertEquals(source, "rope_scaling, auto_map");
  assert(scaling.type === "yarn");
  assertEquals([scaling.betaFast, scaling.betaSlow], [128, 2]);
  const { attentionFactor } = ropeFrequencies(scaling, { rotaryDim: 128, ropeTheta: 1e4 });
  assertEquals(attentionFactor, 1.1940812105567846);
  const dynamic = parseRopeScaling({ ...config, rope_scaling: { ...config.rope_scaling, type: "dynamic-yarn" } });
  assertEquals(dynamic.scaling.type === "dynamic-yarn" && dynamic.scaling.rule, "modeling_llama_yarn");
  const elsewhere = parseRopeScaling({ ...config, auto_map: { AutoModelForCausalLM: "modeling_llama.Llama" } });
  assertEquals(elsewhere.source, "rope_scaling");
});

Deno.test("parseRopeScaling() takes NTK-by-parts as YaRN without its factor on cos and sin", () => {
  const { scaling } = parseRopeScaling({ ...base, rope_scaling: { type: "ntk-by-parts", factor: 4 } });
  const shape = { rotaryDim: 64, ropeTheta: 1e4 };
  const { invFreq, attentionFactor } = ropeFrequencies(scaling, shape);
  assertEquals(attentionFactor, 1);
  const whole = ropeFrequencies({ ...yarn, factor: 4, originalMaxPositionEmbeddings: 65536 }, shape);
  assertEquals(invFreq, whole.invFreq);
});

Deno.test("parseRopeScaling() takes Phi-3's first spellings for LongRoPE", () => {
  const factors = { short_factor: [1, 2], long_factor: [3, 4], original_max_position_embeddings: 4096 };
  for (const type of ["su", "yarn", "longrope"]) {
    const { scaling } = parseRopeScaling({ ...base, rope_scaling: { type, ...factors } });
    assertEquals(scaling.type === "longrope" && [scaling.factor, ...scaling.longFactor], [16, 3, 4]);
  }
});

Deno.test("ropeShape() wants a rotated part of whole quads, and a LongRoPE factor for each pair", () => {
  const settings = (fields: Record<string, unknown>) => parseRopeScaling({ ...base, rope_scaling: fields });
  assertEquals(ropeShape(settings({ type: "linear", factor: 2, partial_rotary_factor: 0.75 }), 128).rotaryDim, 96);
  const few = settings({ type: "longrope", short_factor: [1], long_factor: [1] });
  assertThrows(() => ropeShape(few, 64), FormatError, "short_factor has 1 numbers, expected 32");
  const odd = settings({ type: "linear", factor: 2, partial_rotary_factor: 0.1 });
  assertThrows(() => ropeShape(odd, 64), FormatError, "rotates 6 of 64 elements");
});

Deno.test("parseRopeScaling() takes a model without scaling", () => {
  const plain = { scaling: { type: "none" }, ropeTheta: 10000, partialRotaryFactor: 1, source: "none" } as const;
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
  ["a share over 1", { type: "yarn", factor: 2, partial_rotary_factor: 1.5 }, "partial_rotary_factor is 1.5"],
  ["a dynamic factor below 1", { type: "dynamic", factor: 0.5 }, "factor is 0.5, expected a number of at least 1"],
  ["LongRoPE without factors", { type: "su", short_factor: [1] }, "long_factor is missing, expected a list"],
  [
    "LongRoPE with a factor that is none",
    { type: "longrope", short_factor: [1, "2"], long_factor: [1, 2] },
    'short_factor is [1,"2"], expected a list of numbers over 0',
  ],
  [
    "LongRoPE with factors of two lengths",
    { type: "longrope", short_factor: [1], long_factor: [1, 2] },
    "long_factor is [1,2], expected as many numbers as short_factor has, 1",
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
