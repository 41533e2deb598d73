/**
 * Reads a model's rotary settings from config.json in each of the spellings in use: `rope_scaling` with `type` or
 * `rope_type`, and transformers 5's `rope_parameters` with the base inside. What Skein does not compute is refused by
 * name, because a scaling that is skipped silently gives fluent nonsense.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import type { RopeScaling } from "./rope.ts";

/** A model's rotary settings. */
export interface RopeSettings {
  /** How frequencies are scaled. */
  readonly scaling: RopeScaling;
  /** Base of the geometric row of frequencies. */
  readonly ropeTheta: number;
  /** The field of the config that the scaling comes from. */
  readonly source: "rope_scaling" | "rope_parameters" | "none";
}

type Fields = Readonly<Record<string, unknown>>;
type Where = { readonly file: string; readonly field: string };

/** transformers' base where a config names none. */
const DEFAULT_THETA = 10000;

/** Keys that say nothing about frequencies, whatever the type. */
const NEUTRAL_KEYS = ["type", "rope_type", "rope_theta", "partial_rotary_factor", "finetuned"];

/** Each type's keys and reader. A new scaling is one entry here and one branch of `ropeFrequencies`. */
const READERS: Readonly<Record<string, { keys: readonly string[]; read: (dict: Dict) => RopeScaling }>> = {
  default: { keys: ["factor", "original_max_position_embeddings"], read: () => ({ type: "none" }) },
  linear: { keys: ["factor"], read: (dict) => ({ type: "linear", factor: dict.positive("factor") }) },
  llama3: {
    keys: ["factor", "original_max_position_embeddings", "low_freq_factor", "high_freq_factor"],
    read: readLlama3,
  },
  yarn: {
    keys: [
      ...["factor", "original_max_position_embeddings", "attention_factor", "beta_fast", "beta_slow"],
      ...["mscale", "mscale_all_dim", "truncate"],
    ],
    read: readYarn,
  },
};

/**
 * Rotary settings of a config.
 *
 * @param config The parsed config.json. Read are rope_scaling, rope_parameters, rope_theta, partial_rotary_factor,
 * max_position_embeddings and original_max_position_embeddings.
 * @param file The config's file name, for errors.
 * @throws {FormatError} If the scaling is unknown, has a key that Skein does not know, or a value out of range.
 */
export function parseRopeScaling(config: Fields, file: string = "config.json"): RopeSettings {
  // transformers 5 lets the older spelling win where a config carries both.
  const field = present(config.rope_scaling) ? "rope_scaling" : "rope_parameters";
  const fields = config[field] ?? {};
  if (typeof fields !== "object" || Array.isArray(fields)) {
    throw new FormatError(file, `Cannot use ${file}: ${field} is ${show(fields)}, expected an object or null`);
  }
  const dict = new Dict(fields as Fields, config, { file, field });
  const ropeTheta = dict.theta();
  const name = dict.typeName();
  const reader = Object.hasOwn(READERS, name) ? READERS[name]! : undefined;
  if (reader === undefined) {
    throw new FormatError(
      file,
      `Cannot use ${file}: ${field} has RoPE type "${name}", expected one of ${Object.keys(READERS).join(", ")}`,
      { code: "UnknownRopeType" },
    );
  }
  dict.refuseUnknown(name, [...NEUTRAL_KEYS, ...reader.keys]);
  const scaling = reader.read(dict);
  return { scaling, ropeTheta, source: scaling.type === "none" ? "none" : field };
}

function readLlama3(dict: Dict): RopeScaling {
  const lowFreqFactor = dict.positive("low_freq_factor");
  const highFreqFactor = dict.positive("high_freq_factor");
  if (highFreqFactor <= lowFreqFactor) {
    dict.refuse("high_freq_factor", `a number over low_freq_factor ${lowFreqFactor}`);
  }
  return {
    type: "llama3",
    factor: dict.positive("factor"),
    originalMaxPositionEmbeddings: dict.originalLength(),
    lowFreqFactor,
    highFreqFactor,
  };
}

function readYarn(dict: Dict): RopeScaling {
  const originalMaxPositionEmbeddings = dict.originalLength();
  const betaFast = dict.number("beta_fast") || 32;
  const betaSlow = dict.number("beta_slow") || 1;
  if (!(betaFast > 0)) dict.refuse("beta_fast", "a number over 0");
  if (!(betaSlow > 0 && betaSlow <= betaFast)) {
    dict.refuse("beta_slow", `a number over 0, at most beta_fast ${betaFast}`);
  }
  const attentionFactor = dict.number("attention_factor");
  if (attentionFactor !== undefined && attentionFactor < 0) dict.refuse("attention_factor", "a number of at least 0");
  const mscale = dict.number("mscale");
  const mscaleAllDim = dict.number("mscale_all_dim");
  const finetuned = dict.flag("finetuned");
  return {
    type: "yarn",
    factor: dict.number("factor") === undefined
      ? dict.maxPositionEmbeddings() / originalMaxPositionEmbeddings
      : dict.positive("factor"),
    originalMaxPositionEmbeddings,
    betaFast,
    betaSlow,
    ...(attentionFactor === undefined ? {} : { attentionFactor }),
    ...(mscale === undefined ? {} : { mscale }),
    ...(mscaleAllDim === undefined ? {} : { mscaleAllDim }),
    truncate: dict.flag("truncate") ?? true,
    ...(finetuned === undefined ? {} : { finetuned }),
  };
}

/** One dictionary of rotary settings beside the config that it stands in; null counts as absent. */
class Dict {
  readonly #fields: Fields;
  readonly #config: Fields;
  readonly #where: Where;

  constructor(fields: Fields, config: Fields, where: Where) {
    this.#fields = fields;
    this.#config = config;
    this.#where = where;
  }

  typeName(): string {
    const name = this.#fields.rope_type ?? this.#fields.type ?? "default";
    if (typeof name !== "string") this.refuse(present(this.#fields.rope_type) ? "rope_type" : "type", "a string");
    return name as string;
  }

  theta(): number {
    const inside = present(this.#fields.rope_theta);
    const theta = (inside ? this.#fields.rope_theta : this.#config.rope_theta) ?? DEFAULT_THETA;
    if (typeof theta === "number" && theta > 1 && theta < 1e30) return theta;
    throw new FormatError(
      this.#where.file,
      `Cannot use ${this.#where.file}: ${inside ? `${this.#where.field}.` : ""}rope_theta is ${
        show(theta)
      }, expected a number over 1`,
    );
  }

  /** The length before scaling: the config's own field where it has one, else the dictionary's, else the full length. */
  originalLength(): number {
    const key = "original_max_position_embeddings";
    return present(this.#config[key])
      ? this.#length(key)
      : this.#fields[key] == null
      ? this.maxPositionEmbeddings()
      : this.positive(key);
  }

  maxPositionEmbeddings(): number {
    return this.#length("max_position_embeddings");
  }

  number(key: string): number | undefined {
    const value = this.#fields[key] ?? undefined;
    if (value !== undefined && (typeof value !== "number" || !Number.isFinite(value))) this.refuse(key, "a number");
    return value as number | undefined;
  }

  positive(key: string): number {
    const value = this.number(key);
    if (value === undefined || value <= 0) this.refuse(key, "a number over 0");
    return value!;
  }

  flag(key: string): boolean | undefined {
    const value = this.#fields[key] ?? undefined;
    if (value !== undefined && typeof value !== "boolean") this.refuse(key, "true or false");
    return value as boolean | undefined;
  }

  refuseUnknown(type: string, known: readonly string[]): void {
    const unknown = Object.keys(this.#fields).find((key) => present(this.#fields[key]) && !known.includes(key));
    if (unknown !== undefined) {
      const { file, field } = this.#where;
      throw new FormatError(
        file,
        `Cannot use ${file}: RoPE type "${type}" of ${field} has no key "${unknown}" (${show(this.#fields[unknown])})`,
        { code: "UnknownRopeKey" },
      );
    }
    const partial = this.#fields.partial_rotary_factor ?? this.#config.partial_rotary_factor ?? 1;
    if (partial !== 1) {
      throw new FormatError(
        this.#where.file,
        `Cannot use ${this.#where.file}: partial_rotary_factor is ${show(partial)}, expected 1`,
      );
    }
  }

  refuse(key: string, expected: string): never {
    const { file, field } = this.#where;
    const value = this.#fields[key];
    throw new FormatError(
      file,
      `Cannot use ${file}: ${field}.${key} is ${present(value) ? show(value) : "missing"}, expected ${expected}`,
    );
  }

  #length(key: string): number {
    const value = this.#config[key];
    if (Number.isSafeInteger(value) && (value as number) > 0) return value as number;
    throw new FormatError(
      this.#where.file,
      `Cannot use ${this.#where.file}: ${key} is ${
        present(value) ? show(value) : "missing"
      }, expected a whole number over 0`,
    );
  }
}

function present(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function show(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 60) ?? String(value);
}
