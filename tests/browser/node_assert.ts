/**
 * Stands in for `node:assert/strict` in a browser: the two functions that `tests/std_assert.ts` uses.
 *
 * @module
 */
export default {
  /** Fails unless `value` is truthy. */
  ok(value: unknown, message: string = "Expected a truthy value"): asserts value {
    if (!value) throw new Error(message);
  },
  /** Fails unless the two are equal all the way down. */
  deepStrictEqual(actual: unknown, expected: unknown, message?: string): void {
    if (!isEqual(actual, expected)) throw new Error(message ?? `Expected ${shown(expected)}, got ${shown(actual)}`);
  },
};

function isEqual(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  const [keys, others] = [Object.keys(a), Object.keys(b)];
  return keys.length === others.length &&
    keys.every((key) => isEqual((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]));
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 200 ? `${text.slice(0, 200)}...` : text;
}
