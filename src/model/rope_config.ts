/**
 * Reads a model's rotary settings from config.json in each of the spellings in use: `rope_scaling` with `type` or
 * `rope_type`, and transformers 5's `rope_parameters` with the base inside. What Skein does not compute is refused by
 * name, because a scaling that is skipped silently gives fluent nonsense.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import type { RopeScaling, RopeShape } from "./rope.ts";
import { present, RopeFields, show } from "./rope_fields.ts";
import type { DynamicYarnRule, YarnScaling } from "./yarn.ts";

/** A model's rotary settings. */
export interface RopeSettings {
  /** How frequencies are scaled. */
  readonly scaling: RopeScaling;
  /** Base of the geometric row of frequencies. */
  readonly ropeTheta: number;
  /** Share of a head that is rotated. */
  readonly partialRotaryFactor: number;
  /** The field of the config that the scaling comes from; with auto_map, where that names code with other constants. */
  readonly source:
    | "rope_scaling"
    | "rope_parameters"
    | "rope_scaling, auto_map"
    | "rope_parameters, auto_map"
    | "rope_freqs.weight"
    | "none";
}

/** How one type of scaling is read. A new scaling is one entry here and one branch of `ropeFrequencies`. */
interface Reader {
  /** Its keys besides the neutral ones. */
  readonly keys: readonly string[];
  readonly read: (fields: RopeFields) => RopeScaling;
}

/** Keys that say nothing about frequencies, whatever the type. */
const NEUTRAL_KEYS = ["type", "rope_type", "rope_theta", "partial_rotary_factor", "finetuned"];

const LENGTH_KEYS = ["factor", "original_max_position_embeddings"];
const YARN_KEYS = [...LENGTH_KEYS, "beta_fast", "beta_slow", "truncate", "extrapolation_factor"];

const LONG_ROPE: Reader = {
  keys: [...LENGTH_KEYS, "attention_factor", "short_factor", "long_factor"],
  read: readLongRope,
};

const READERS: Readonly<Record<string, Reader>> = {
  default: { keys: LENGTH_KEYS, read: () => ({ type: "none" }) },
  linear: { keys: LENGTH_KEYS, read: (fields) => ({ type: "linear", factor: fields.positive("factor") }) },
  "dynamic-linear": {
    keys: LENGTH_KEYS,
    read: (fields) => ({
      type: "dynamic-linear",
      factor: fields.number("factor") === undefined ? 1 : fields.positive("factor"),
      maxPositionEmbeddings: fields.maxPositionEmbeddings(),
    }),
  },
  ntk: { keys: LENGTH_KEYS, read: (fields) => ({ type: "ntk", factor: fields.positive("factor") }) },
  dynamic: {
    keys: LENGTH_KEYS,
    // As in transformers, the length that counts is the full one, whatever the original one is said to be.
    read: (fields) => ({
      type: "dynamic",
      factor: fields.atLeastOne("factor"),
      maxPositionEmbeddings: fields.maxPositionEmbeddings(),
    }),
  },
  llama3: { keys: [...LENGTH_KEYS, "low_freq_factor", "high_freq_factor"], read: readLlama3 },
  yarn: {
    keys: [...YARN_KEYS, "attention_factor", "mscale", "mscale_all_dim"],
    read: (fields) => readYarn(fields, "yarn"),
  },
  "ntk-by-parts": { keys: YARN_KEYS, read: (fields) => readYarn(fields, "ntk-by-parts") },
  "dynamic-yarn": { keys: YARN_KEYS, read: readDynamicYarn },
  "part-ntk": {
    keys: [...LENGTH_KEYS, "ntk_factor", "extrapolation_factor"],
    read: (fields) => readPartNtk(fields, "part-ntk"),
  },
  "dynamic-part-ntk": {
    keys: [...LENGTH_KEYS, "ntk_factor", "extrapolation_factor"],
    read: (fields) => readPartNtk(fields, "dynamic-part-ntk"),
  },
  longrope: LONG_ROPE,
  su: LONG_ROPE,
  factors: { keys: ["factors"], read: (fields) => ({ type: "factors", factors: fields.positives("factors") }) },
  proportional: {
    keys: ["factor"],
    read: (fields) => ({
      type: "proportional",
      factor: fields.number("factor") === undefined ? 1 : fields.positive("factor"),
      share: fields.partialRotaryFactor(),
    }),
  },
};

/**
 * Rotary settings of a config.
 *
 * @param config The parsed config.json. Read are rope_scaling, rope_parameters, rope_theta, partial_rotary_factor,
 * max_position_embeddings, original_max_position_embeddings and auto_map.
 * @param file The config's file name, for errors.
 * @throws {FormatError} If the scaling is unknown, has a key that Skein does not know, or a value out of range.
 */
export function parseRopeScaling(
  config: Readonly<Record<string, unknown>>,
  file: string = "config.json",
): RopeSettings {
  // transformers 5 lets the older spelling win where a config carries both.
  const field = present(config.rope_scaling) ? "rope_scaling" : "rope_parameters";
  const dictionary = config[field] ?? {};
  if (typeof dictionary !== "object" || Array.isArray(dictionary)) {
    throw new FormatError(file, `Cannot use ${file}: ${field} is ${show(dictionary)}, expected an object or null`);
  }
  const fields = new RopeFields(dictionary as Record<string, unknown>, config, { file, field });
  const ropeTheta = fields.theta();
  const name = fields.typeName();
  // Phi-3's first configs say "yarn" where they mean LongRoPE.
  const reader = name === "yarn" && fields.has("short_factor")
    ? LONG_ROPE
    : Object.hasOwn(READERS, name)
    ? READERS[name]!
    : undefined;
  if (reader === undefined) {
    throw new FormatError(
      file,
      `Cannot use ${file}: ${field} has RoPE type "${name}", expected one of ${Object.keys(READERS).join(", ")}`,
      { code: "UnknownRopeType" },
    );
  }
  fields.refuseUnknown(name, [...NEUTRAL_KEYS, ...reader.keys]);
  const scaling = reader.read(fields);
  return {
    scaling,
    ropeTheta,
    // A proportional scaling is laid over the whole head.
    partialRotaryFactor: scaling.type === "proportional" ? 1 : fields.partialRotaryFactor(),
    source: scaling.type === "none" ? "none" : isMistralYarn(fields, scaling.type) ? `${field}, auto_map` : field,
  };
}

/**
 * What the frequencies of a model with heads of `headDim` depend on.
 *
 * @throws {FormatError} If the rotated part of a head is no multiple of 4, or there is not one factor for each pair.
 */
export function ropeShape(
  { scaling, ropeTheta, partialRotaryFactor }: RopeSettings,
  headDim: number,
  file: string = "config.json",
): RopeShape {
  const rotaryDim = Math.floor(headDim * partialRotaryFactor);
  if (rotaryDim < 4 || rotaryDim % 4 !== 0) {
    throw new FormatError(
      file,
      `Cannot use ${file}: partial_rotary_factor is ${partialRotaryFactor}, which rotates ${rotaryDim} of ${headDim} ` +
        "elements of a head: expected a multiple of 4",
    );
  }
  const [name, factors] = scaling.type === "longrope"
    ? ["short_factor", scaling.shortFactor]
    : scaling.type === "factors"
    ? ["factors", scaling.factors]
    : [];
  if (factors !== undefined && factors.length !== rotaryDim / 2) {
    throw new FormatError(
      file,
      `Cannot use ${file}: ${name} has ${factors.length} numbers, expected ${rotaryDim / 2}, one for ` +
        "each pair of elements that is rotated",
    );
  }
  return { rotaryDim, ropeTheta };
}

/** Whether the checkpoint is a Yarn-Mistral: its constants stand in its modeling file, not in its config. */
function isMistralYarn(fields: RopeFields, type: string): boolean {
  return fields.remoteCode() === "modeling_mistral_yarn" && (type === "yarn" || type === "dynamic-yarn");
}

function readLlama3(fields: RopeFields): RopeScaling {
  const lowFreqFactor = fields.positive("low_freq_factor");
  const highFreqFactor = fields.positive("high_freq_factor");
  if (highFreqFactor <= lowFreqFactor) {
    fields.refuse("high_freq_factor", `a number over low_freq_factor ${lowFreqFactor}`);
  }
  return {
    type: "llama3",
    factor: fields.positive("factor"),
    originalMaxPositionEmbeddings: fields.originalLength(),
    lowFreqFactor,
    highFreqFactor,
  };
}

function readLongRope(fields: RopeFields): RopeScaling {
  const shortFactor = fields.positives("short_factor");
  const longFactor = fields.positives("long_factor");
  if (longFactor.length !== shortFactor.length) {
    fields.refuse("long_factor", `as many numbers as short_factor has, ${shortFactor.length}`);
  }
  const attentionFactor = fields.number("attention_factor");
  return {
    type: "longrope",
    factor: factorOf(fields),
    originalMaxPositionEmbeddings: fields.originalLength(),
    shortFactor,
    longFactor,
    ...(attentionFactor === undefined ? {} : { attentionFactor }),
  };
}

function readPartNtk(fields: RopeFields, type: "part-ntk" | "dynamic-part-ntk"): RopeScaling {
  return {
    type,
    factor: factorOf(fields),
    originalMaxPositionEmbeddings: fields.originalLength(),
    maxPositionEmbeddings: fields.maxPositionEmbeddings(),
    ntkFactor: fields.number("ntk_factor") ?? 1,
    extrapolationFactor: fields.number("extrapolation_factor") ?? 1,
    finetuned: fields.flag("finetuned") ?? false,
  };
}

/** The factor, or what the two lengths come to. */
function factorOf(fields: RopeFields): number {
  return fields.number("factor") === undefined
    ? fields.maxPositionEmbeddings() / fields.originalLength()
    : fields.positive("factor");
}

/** What static and dynamic YaRN have in common. */
function readRamp(fields: RopeFields): Omit<YarnScaling, "type" | "attentionFactor" | "mscale" | "mscaleAllDim"> {
  const isMistral = isMistralYarn(fields, "yarn");
  const betaFast = fields.number("beta_fast") || (isMistral ? 128 : 32);
  const betaSlow = fields.number("beta_slow") || (isMistral ? 2 : 1);
  if (!(betaFast > 0)) fields.refuse("beta_fast", "a number over 0");
  if (!(betaSlow > 0 && betaSlow <= betaFast)) {
    fields.refuse("beta_slow", `a number over 0, at most beta_fast ${betaFast}`);
  }
  const finetuned = fields.flag("finetuned");
  const extrapolationFactor = fields.number("extrapolation_factor");
  return {
    factor: factorOf(fields),
    originalMaxPositionEmbeddings: fields.originalLength(),
    betaFast,
    betaSlow,
    truncate: fields.flag("truncate") ?? true,
    ...(finetuned === undefined ? {} : { finetuned }),
    ...(extrapolationFactor === undefined ? {} : { extrapolationFactor }),
    ...(isMistral ? { logWeight: 0.07 } : {}),
  };
}

function readYarn(fields: RopeFields, type: "yarn" | "ntk-by-parts"): RopeScaling {
  const attentionFactor = fields.number("attention_factor");
  if (attentionFactor !== undefined && attentionFactor < 0) fields.refuse("attention_factor", "a number of at least 0");
  const mscale = fields.number("mscale");
  const mscaleAllDim = fields.number("mscale_all_dim");
  return {
    type,
    ...readRamp(fields),
    ...(attentionFactor === undefined ? {} : { attentionFactor }),
    ...(mscale === undefined ? {} : { mscale }),
    ...(mscaleAllDim === undefined ? {} : { mscaleAllDim }),
  };
}

/** The rule of the file that the checkpoint's own code stands in. */
const DYNAMIC_YARN_RULES: Readonly<Record<string, DynamicYarnRule>> = {
  modeling_llama_yarn: "modeling_llama_yarn",
  modeling_mistral_yarn: "modeling_llama_yarn",
  modeling_llama_together_yarn: "modeling_llama_together_yarn",
};

function readDynamicYarn(fields: RopeFields): RopeScaling {
  const code = fields.remoteCode() ?? "";
  return {
    type: "dynamic-yarn",
    ...readRamp(fields),
    maxPositionEmbeddings: fields.maxPositionEmbeddings(),
    rule: Object.hasOwn(DYNAMIC_YARN_RULES, code) ? DYNAMIC_YARN_RULES[code]! : "standalone",
  };
}
