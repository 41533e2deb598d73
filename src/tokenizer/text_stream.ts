/**
 * Text from one token at a time: no broken characters, nothing past a stop string, and nothing held back longer than
 * needed.
 *
 * @module
 */

import type { DecodeStream } from "../../wasm/mod.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** Options of {@linkcode TextStream}. */
export interface TextStreamOptions {
  /**
   * Strings that end the text. The text ends before the one that is complete first, the longest of several.
   *
   * @default {[]}
   */
  stop?: readonly string[];
  /**
   * Whether special tokens are left out of the text.
   *
   * @default {true}
   */
  skipSpecialTokens?: boolean;
}

/** One stop string and how much of it the text ends with, by the method of Knuth, Morris and Pratt. */
interface StopMatch {
  stop: string;
  /** `fallback[n]`: the longest proper prefix of `stop` that ends its first n code units. */
  fallback: Int32Array;
  matched: number;
}

function createMatch(stop: string): StopMatch {
  if (typeof stop !== "string" || stop.length === 0) {
    throw new TypeError(`Stop string must be a text of at least one character: ${JSON.stringify(stop)}`);
  }
  if (!stop.isWellFormed()) throw new TypeError(`Stop string must be well-formed: ${JSON.stringify(stop)}`);
  const fallback = new Int32Array(stop.length + 1);
  for (let length = 2, prefix = 0; length <= stop.length; length++) {
    const unit = stop.charCodeAt(length - 1);
    while (prefix > 0 && stop.charCodeAt(prefix) !== unit) prefix = fallback[prefix]!;
    if (stop.charCodeAt(prefix) === unit) prefix++;
    fallback[length] = prefix;
  }
  return { stop, fallback, matched: 0 };
}

function advance(match: StopMatch, unit: number): void {
  while (match.matched > 0 && match.stop.charCodeAt(match.matched) !== unit) {
    match.matched = match.fallback[match.matched]!;
  }
  if (match.stop.charCodeAt(match.matched) === unit) match.matched++;
}

/** Lets text through until a stop string is complete. Costs the same for every character. */
export class StopFilter {
  readonly #matches: StopMatch[];
  /** Text that may yet turn out to begin a stop string. */
  #held = "";
  #stop: string | undefined;

  /**
   * Makes a filter.
   *
   * @param stop The stop strings.
   * @throws {TypeError} If one is empty or not well-formed.
   */
  constructor(stop: readonly string[]) {
    this.#matches = stop.map(createMatch);
  }

  /** The stop string that ended the text; undefined while none has. */
  get stop(): string | undefined {
    return this.#stop;
  }

  /**
   * Takes more text.
   *
   * @param text The text.
   * @returns What can no longer be part of a stop string.
   */
  push(text: string): string {
    if (this.#stop !== undefined) return "";
    if (this.#matches.length === 0) return text;
    const all = this.#held + text;
    for (let end = this.#held.length; end < all.length; end++) {
      let found: string | undefined;
      for (const match of this.#matches) {
        advance(match, all.charCodeAt(end));
        if (match.matched === match.stop.length && match.stop.length > (found?.length ?? 0)) found = match.stop;
      }
      if (found !== undefined) {
        this.#stop = found;
        this.#held = "";
        return all.slice(0, end + 1 - found.length);
      }
    }
    const held = Math.max(...this.#matches.map((match) => match.matched));
    this.#held = all.slice(all.length - held);
    return all.slice(0, all.length - held);
  }

  /**
   * Ends the text.
   *
   * @returns What was held back.
   */
  flush(): string {
    const rest = this.#held;
    this.#held = "";
    for (const match of this.#matches) match.matched = 0;
    return rest;
  }
}

/** Text from token ids, ended by stop strings. */
export class TextStream implements Disposable {
  readonly #decoder: DecodeStream;
  readonly #filter: StopFilter;
  #disposed = false;

  /**
   * Starts on an empty text.
   *
   * @param tokenizer The tokenizer of the ids. It may be disposed of before the stream.
   * @param options Stop strings, and whether to leave special tokens out.
   * @throws {TypeError} If a stop string is empty or not well-formed.
   */
  constructor(tokenizer: Tokenizer, options: TextStreamOptions = {}) {
    this.#filter = new StopFilter(options.stop ?? []);
    this.#decoder = tokenizer.openDecoder(options.skipSpecialTokens ?? true);
  }

  /** Whether a stop string has ended the text. */
  get stopped(): boolean {
    return this.#filter.stop !== undefined;
  }

  /**
   * Takes the next token.
   *
   * @param id The token id. An id without a token, as a padded vocabulary has them, adds no text.
   * @returns The text that is certain now; empty once a stop string has ended the text.
   */
  push(id: number): string {
    if (this.#disposed) throw new TypeError("Cannot use a text stream after its disposal");
    if (this.stopped) return "";
    return this.#filter.push(this.#decoder.push(id));
  }

  /**
   * Ends the text.
   *
   * @returns The rest, with U+FFFD for bytes that no token completed; empty when a stop string has ended the text.
   */
  flush(): string {
    if (this.#disposed) throw new TypeError("Cannot use a text stream after its disposal");
    if (this.stopped) return "";
    return this.#filter.push(this.#decoder.flush()) + this.#filter.flush();
  }

  /** Gives the memory back. The stream cannot be used afterwards. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#decoder.free();
  }

  /** Gives the memory back, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
