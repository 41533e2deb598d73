/**
 * The page's elements, by id and kind.
 *
 * @module
 */
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />

/** The element of an id; a page without it is a mistake of ours. */
export function element<E extends Element>(id: string, kind: new () => E): E {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`The page has no ${kind.name} called ${id}`);
  return found;
}

/** A button of an id. */
export const button = (id: string): HTMLButtonElement => element(id, HTMLButtonElement);

/** An input of an id. */
export const input = (id: string): HTMLInputElement => element(id, HTMLInputElement);

/** The number in an input; undefined where it is empty. */
export function numberIn(id: string): number | undefined {
  const { value, valueAsNumber } = input(id);
  return value.trim() === "" ? undefined : valueAsNumber;
}

/** A count as people write it. */
export const counted = (count: number): string => count.toLocaleString("en-US");

/** A count of tokens as people write it. */
export const countedTokens = (count: number): string => `${counted(count)} token${count === 1 ? "" : "s"}`;

/** Makes a change, and where an element's end was in sight before it, brings it back there. */
export function follow(shown: Element, change: () => void): void {
  const wasInSight = shown.getBoundingClientRect().bottom <= innerHeight;
  change();
  if (wasInSight) shown.scrollIntoView({ block: "nearest" });
}
