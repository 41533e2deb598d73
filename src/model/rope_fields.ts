/**
 * One dictionary of rotary settings beside the config that it stands in, read key by key with errors that name both.
 *
 * @module
 */
import { FormatError } from "../errors.ts";

type Fields = Readonly<Record<string, unknown>>;

/** transformers' base where a config names none. */
const DEFAULT_THETA = 10000;

/** See the module's description; null counts as absent. */
export class RopeFields {
  readonly #fields: Fields;
  readonly #config: Fields;
  readonly #where: { readonly file: string; readonly field: string };

  /**
   * @param fields The dictionary.
   * @param config The whole config.
   * @param where The file and the dictionary's field, for errors.
   */
  constructor(fields: Fields, config: Fields, where: { file: string; field: string }) {
    this.#fields = fields;
    this.#config = config;
    this.#where = where;
  }

  /** Whether the dictionary has the key. */
  has(key: string): boolean {
    return present(this.#fields[key]);
  }

  /** The scaling's type, by either spelling; "default" where none is named. */
  typeName(): string {
    const name = this.#fields.rope_type ?? this.#fields.type ?? "default";
    if (typeof name !== "string") this.refuse(present(this.#fields.rope_type) ? "rope_type" : "type", "a string");
    return name as string;
  }

  /** The base of the frequencies. */
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

  /** The config's full length. */
  maxPositionEmbeddings(): number {
    return this.#length("max_position_embeddings");
  }

  /** A finite number, or undefined. */
  number(key: string): number | undefined {
    const value = this.#fields[key] ?? undefined;
    if (value !== undefined && (typeof value !== "number" || !Number.isFinite(value))) this.refuse(key, "a number");
    return value as number | undefined;
  }

  /** A number over 0. */
  positive(key: string): number {
    const value = this.number(key);
    if (value === undefined || value <= 0) this.refuse(key, "a number over 0");
    return value!;
  }

  /** A number of at least 1. */
  atLeastOne(key: string): number {
    const value = this.number(key);
    if (value === undefined || value < 1) this.refuse(key, "a number of at least 1");
    return value!;
  }

  /** A list of numbers over 0. */
  positives(key: string): readonly number[] {
    const value = this.#fields[key];
    const isList = Array.isArray(value) && value.length > 0;
    if (!isList || !value.every((each) => typeof each === "number" && Number.isFinite(each) && each > 0)) {
      this.refuse(key, "a list of numbers over 0");
    }
    return value as number[];
  }

  /** The share of a head that is rotated, from the dictionary or the config. */
  partialRotaryFactor(): number {
    const partial = this.#fields.partial_rotary_factor ?? this.#config.partial_rotary_factor ?? 1;
    if (typeof partial === "number" && partial > 0 && partial <= 1) return partial;
    const { file } = this.#where;
    throw new FormatError(
      file,
      `Cannot use ${file}: partial_rotary_factor is ${show(partial)}, expected a number over 0, at most 1`,
    );
  }

  /** The file that the model's own code stands in, by the config's auto_map; undefined where transformers has it. */
  remoteCode(): string | undefined {
    const map = this.#config.auto_map;
    const name = typeof map === "object" && map !== null ? (map as Fields).AutoModelForCausalLM : undefined;
    return typeof name === "string" ? name.replace(/^.*--/, "").split(".")[0] : undefined;
  }

  /** True, false or undefined. */
  flag(key: string): boolean | undefined {
    const value = this.#fields[key] ?? undefined;
    if (value !== undefined && typeof value !== "boolean") this.refuse(key, "true or false");
    return value as boolean | undefined;
  }

  /** Refuses the first key that is not known. */
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
  }

  /** Throws: the key's value is not what it has to be. */
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

/** Whether a field is there; null says that it is not. */
export function present(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/** A value as an error message shows it. */
export function show(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 60) ?? String(value);
}
