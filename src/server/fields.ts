/**
 * Fields of a JSON request, taken one by one and checked. What is left at the end is unknown and refused, as the OpenAI
 * API does.
 *
 * @module
 */
import { ApiError, invalid } from "./api_error.ts";

/** Bounds of a number. */
export interface NumberBounds {
  /** Smallest value. */
  readonly min: number;
  /** Largest value. */
  readonly max: number;
}

/** A short form of a value, for a message. */
export function shown(value: unknown): string {
  if (typeof value === "number") return String(value);
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}

/** What a value is called in a message. */
function kindOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "an array" : typeof value === "object" ? "an object" : `a ${typeof value}`;
}

/** Whether a value is an object with names. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** See the module's description. A field that is null counts as absent. */
export class Fields {
  readonly #path: string;
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #left: Set<string>;

  /**
   * @param value What should be an object.
   * @param path Where it stands in the request; empty for the request itself.
   * @throws {ApiError} If it is no object.
   */
  constructor(value: unknown, path: string = "") {
    if (!isRecord(value)) {
      throw path === ""
        ? new ApiError(400, `Expected a JSON object as the request's body, got ${kindOf(value)}`)
        : invalid(path, `Expected an object as ${path}, got ${kindOf(value)}`);
    }
    this.#path = path;
    this.#values = value;
    this.#left = new Set(Object.keys(value));
  }

  /** The field's full name. */
  name(key: string): string {
    return this.#path === "" ? key : `${this.#path}.${key}`;
  }

  /** A field as it is; undefined where it is absent or null. */
  take(key: string): unknown {
    this.#left.delete(key);
    const value = Object.hasOwn(this.#values, key) ? this.#values[key] : undefined;
    return value ?? undefined;
  }

  /** A finite number within bounds. */
  number(key: string, { min, max }: NumberBounds): number | undefined {
    const value = this.take(key);
    if (value === undefined) return undefined;
    if (typeof value !== "number") throw this.#wrong(key, "a number", value);
    if (!(value >= min && value <= max)) {
      throw invalid(this.name(key), `Expected ${this.name(key)} from ${min} to ${max}, got ${shown(value)}`);
    }
    return value;
  }

  /** A whole number within bounds. */
  integer(key: string, bounds: NumberBounds): number | undefined {
    const value = this.number(key, bounds);
    if (value !== undefined && !Number.isSafeInteger(value)) throw this.#wrong(key, "a whole number", value);
    return value;
  }

  /** True or false. */
  boolean(key: string): boolean | undefined {
    const value = this.take(key);
    if (value !== undefined && typeof value !== "boolean") throw this.#wrong(key, "true or false", value);
    return value;
  }

  /** A text. */
  text(key: string): string | undefined {
    const value = this.take(key);
    if (value !== undefined && typeof value !== "string") throw this.#wrong(key, "a string", value);
    return value;
  }

  /** A text or several. */
  texts(key: string, { most, longest }: { readonly most: number; readonly longest: number }): string[] | undefined {
    const value = this.take(key);
    if (value === undefined) return undefined;
    const list = Array.isArray(value) ? value : [value];
    if (list.length > most) {
      throw invalid(this.name(key), `Expected at most ${most} strings as ${this.name(key)}, got ${list.length}`);
    }
    return list.map((text) => {
      if (typeof text !== "string") throw this.#wrong(key, "a string or an array of strings", text);
      if (text.length > longest) {
        throw invalid(
          this.name(key),
          `Expected at most ${longest} characters in a string of ${this.name(key)}, got ${text.length}`,
        );
      }
      return text;
    });
  }

  /** Refuses a field that is known and not supported, unless its value asks for nothing. */
  refuse(key: string, why: string, isNothing: (value: unknown) => boolean = () => false): void {
    const value = this.take(key);
    if (value !== undefined && !isNothing(value)) {
      throw invalid(this.name(key), `Cannot use ${this.name(key)}: ${why}`, "unsupported_parameter");
    }
  }

  /** Takes fields that change nothing here. */
  ignore(keys: readonly string[]): void {
    for (const key of keys) this.take(key);
  }

  /** Refuses what has not been taken. */
  end(): void {
    const [unknown] = this.#left;
    if (unknown !== undefined) {
      const name = this.name(unknown.length > 60 ? `${unknown.slice(0, 60)}...` : unknown);
      throw invalid(name, `Unrecognized request argument supplied: ${name}`);
    }
  }

  #wrong(key: string, wanted: string, value: unknown): ApiError {
    return invalid(this.name(key), `Expected ${wanted} as ${this.name(key)}, got ${shown(value)}`);
  }
}
