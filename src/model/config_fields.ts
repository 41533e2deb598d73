/**
 * Reads fields of a model's config one by one, each with its check and with an error that names file, field and value.
 *
 * @module
 */
import { FormatError } from "../errors.ts";

/** The parsed fields of a config and how to name them in errors. */
export class ConfigFields {
  /** The file that the fields come from. */
  readonly file: string;
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #spelling: Readonly<Record<string, string>>;

  /**
   * @param fields Fields by config.json's names.
   * @param file The file that they come from.
   * @param spelling How the file spells a field, where that is not config.json's way.
   */
  constructor(
    fields: Readonly<Record<string, unknown>>,
    file: string,
    spelling: Readonly<Record<string, string>> = {},
  ) {
    this.#fields = fields;
    this.#spelling = spelling;
    this.file = file;
  }

  /** Names of all fields that are there and not null. */
  get names(): readonly string[] {
    return Object.keys(this.#fields).filter((name) => this.has(name));
  }

  /** Whether a field is there and not null. */
  has(name: string): boolean {
    return this.#fields[name] !== undefined && this.#fields[name] !== null;
  }

  /** The field as it is. */
  value(name: string): unknown {
    return this.#fields[name] ?? undefined;
  }

  /** A whole number from `least` to `most`, and `fallback` where the field is absent. */
  integer(name: string, least: number, most: number, fallback?: number): number {
    if (!this.has(name) && fallback !== undefined) return fallback;
    const value = this.#fields[name];
    if (!Number.isInteger(value) || (value as number) < least || (value as number) > most) {
      this.refuse(name, `expected a whole number from ${least} to ${most}`);
    }
    return value as number;
  }

  /** A number over 0, at most `most`. */
  positive(name: string, most: number, fallback?: number): number {
    if (!this.has(name) && fallback !== undefined) return fallback;
    const value = this.#fields[name];
    if (typeof value !== "number" || !(value > 0 && value <= most)) {
      this.refuse(name, `expected a number over 0, at most ${most}`);
    }
    return value as number;
  }

  /** True or false. */
  flag(name: string, fallback: boolean): boolean {
    if (!this.has(name)) return fallback;
    if (typeof this.#fields[name] !== "boolean") this.refuse(name, "expected true or false");
    return this.#fields[name] as boolean;
  }

  /** A token id below `vocabSize`, several, or none. */
  ids(name: string, vocabSize: number): readonly number[] {
    if (!this.has(name)) return [];
    const value = this.#fields[name];
    const ids = Array.isArray(value) ? value : [value];
    if (!ids.every((id) => Number.isInteger(id) && id >= 0 && id < vocabSize)) {
      this.refuse(name, `expected token ids below the vocabulary's size ${vocabSize}`);
    }
    return ids;
  }

  /** Throws: the field's value is not what it has to be. */
  refuse(name: string, why: string, code: string = "Config"): never {
    const value = this.#fields[name];
    const is = value === undefined || value === null ? "missing" : JSON.stringify(value).slice(0, 80);
    throw new FormatError(this.file, `Cannot use ${this.file}: ${this.#spelling[name] ?? name} is ${is}, ${why}`, {
      code,
    });
  }
}
