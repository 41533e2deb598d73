/**
 * Stands in for `@std/assert` (same names and signatures, only what the tests use) over `node:assert`, because JSR is
 * out of reach where these tests must run. `deno.jsr.json` maps the name to the real package.
 *
 * @module
 */
import nodeAssert from "node:assert/strict";

/** Fails unless `value` is truthy. */
export function assert(value: unknown, message?: string): asserts value {
  nodeAssert.ok(value, message);
}

/** Fails unless the two are deeply equal. */
export function assertEquals<T>(actual: T, expected: T, message?: string): void {
  nodeAssert.deepStrictEqual(actual, expected, message);
}

/** Fails unless the text contains the part. */
export function assertStringIncludes(actual: string, expected: string, message?: string): void {
  nodeAssert.ok(
    actual.includes(expected),
    message ?? `Expected ${JSON.stringify(actual)} to contain ${JSON.stringify(expected)}`,
  );
}

type ErrorClass<E extends Error> = abstract new (...parameters: never[]) => E;

function matches<E extends Error>(error: unknown, type: ErrorClass<E>, includes: string): E {
  nodeAssert.ok(error instanceof type, `Expected ${type.name}, got ${error}`);
  assertStringIncludes(error.message, includes);
  return error;
}

/** Fails unless `run` throws an error of this class whose message contains `includes`; returns the error. */
export function assertThrows<E extends Error>(run: () => unknown, type: ErrorClass<E>, includes: string = ""): E {
  let error: unknown;
  try {
    run();
  } catch (caught) {
    error = caught;
  }
  nodeAssert.ok(error !== undefined, "Expected a throw");
  return matches(error, type, includes);
}

/** Fails unless the promise of `run` rejects with an error of this class whose message contains `includes`. */
export async function assertRejects<E extends Error>(
  run: () => Promise<unknown>,
  type: ErrorClass<E>,
  includes: string = "",
): Promise<E> {
  let error: unknown;
  try {
    await run();
  } catch (caught) {
    error = caught;
  }
  nodeAssert.ok(error !== undefined, "Expected a rejection");
  return matches(error, type, includes);
}
