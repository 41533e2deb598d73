/**
 * Sessions of earlier requests, kept for the prompt that begins as one of them did.
 *
 * @module
 */
import type { Model } from "../api/model.ts";
import type { Session } from "../api/session.ts";

/** A shorter common beginning is fed again sooner than it is copied. */
const SHORTEST = 16;

/** See the module's description. */
export class PrefixCache {
  readonly #model: Model;
  readonly #most: number;
  /** The least recently used first. */
  readonly #kept: Session[] = [];

  /** @param most Sessions that are kept; 0 keeps none. */
  constructor(model: Model, most: number) {
    this.#model = model;
    this.#most = most;
  }

  /** Sessions that are kept now. */
  get size(): number {
    return this.#kept.length;
  }

  /**
   * A session that holds a prompt, and is the caller's until it is given back.
   *
   * @returns The session, and how many of its tokens are cached already.
   * @throws {CapacityError} If the prompt does not fit in the context.
   * @throws {RangeError} If an id is not in the vocabulary.
   */
  take(tokens: readonly number[]): { readonly session: Session; readonly cached: number } {
    const common = this.#kept.map((session) => commonLength(session.tokens, tokens));
    const best = common.reduce((at, length, i) => length > common[at]! ? i : at, 0);
    const cached = common[best] ?? 0;
    const session = cached < SHORTEST ? this.#model.createSession() : this.#reuse(best, cached);
    try {
      session.replace(tokens);
    } catch (error) {
      session.dispose();
      throw error;
    }
    // The last token of a prompt is fed in any case, for its logits.
    return { session, cached: cached < SHORTEST ? 0 : Math.min(cached, tokens.length - 1) };
  }

  /** Takes a session back. */
  give(session: Session): void {
    this.#kept.push(session);
    while (this.#kept.length > this.#most) this.#kept.shift()!.dispose();
  }

  /** Frees all that is kept. */
  clear(): void {
    for (const session of this.#kept.splice(0)) session.dispose();
  }

  /** The session itself where the prompt goes on from its end, else a copy, so that another may go on from there. */
  #reuse(index: number, cached: number): Session {
    const [session] = this.#kept.splice(index, 1) as [Session];
    if (cached === session.length) return session;
    this.#kept.push(session);
    return session.fork();
  }
}

function commonLength(a: readonly number[], b: readonly number[]): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}
