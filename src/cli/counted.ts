/**
 * Counts in sentences.
 *
 * @module
 */

/** A number of things: "1 token", "2 tokens", "0 tokens". */
export function counted(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? "" : "s"}`;
}
