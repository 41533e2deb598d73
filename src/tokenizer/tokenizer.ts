/**
 * Text to token ids and back.
 *
 * @module
 */

import { FormatError } from "../errors.ts";
import type { DecodeStream, Tokenizer as CoreTokenizer } from "../../wasm/mod.ts";

/** Runs a call of the core and gives its errors the class and the file that callers know. */
function call<T>(file: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    if (cause instanceof WebAssembly.RuntimeError) {
      const message = `Cannot use the tokenizer of ${file}: the core stopped on its content`;
      throw new FormatError(file, message, { cause, code: "Crashed" });
    }
    const { code } = cause as Error & { code?: string };
    if (code === undefined) throw cause;
    throw new FormatError(file, `Cannot use the tokenizer of ${file}: ${cause.message}`, { cause, code });
  }
}

/**
 * A tokenizer with exactly the ids of Hugging Face's `tokenizers` library.
 *
 * It holds memory of the Wasm core: dispose of it, or declare it with `using`.
 */
export class Tokenizer implements Disposable {
  readonly #core: CoreTokenizer;
  readonly #file: string;
  #disposed = false;

  /**
   * Wraps a tokenizer of the core, which is freed with this one. `loadTokenizer` makes the core's from a model's files.
   *
   * @param core The core's tokenizer.
   * @param file The file that it was read from, for errors.
   * @internal
   */
  constructor(core: CoreTokenizer, file: string = "tokenizer") {
    this.#core = core;
    this.#file = file;
  }

  #use(): CoreTokenizer {
    if (this.#disposed) throw new TypeError("Cannot use a tokenizer after its disposal");
    return this.#core;
  }

  /** One more than the highest token id. */
  get vocabSize(): number {
    return this.#use().vocabSize;
  }

  /** The token that begins a text; undefined where the tokenizer has none. */
  get bosId(): number | undefined {
    return this.#use().bosId;
  }

  /** The token that ends a text; undefined where the tokenizer has none. */
  get eosId(): number | undefined {
    return this.#use().eosId;
  }

  /** All special tokens, ascending: control tokens that are no text. */
  get specialIds(): Uint32Array {
    return this.#use().specialIds;
  }

  /** The Jinja template that turns messages into a prompt; undefined where the tokenizer has none. */
  get chatTemplate(): string | undefined {
    return this.#use().chatTemplate;
  }

  /**
   * The token ids of a text. Special tokens that occur in the text are recognised.
   *
   * @param text Any text up to 16 MiB of UTF-8.
   * @param options Whether to add what the tokenizer's config puts around a text, such as BOS.
   * @returns The ids. `// (n_tokens)`
   * @throws {RangeError} If the text is longer than that.
   * @throws {FormatError} If an expression of the tokenizer's file runs away on this text.
   */
  encode(text: string, options: { addSpecialTokens?: boolean } = {}): Uint32Array {
    if (typeof text !== "string") throw new TypeError(`Text to encode must be a string: ${typeof text}`);
    const core = this.#use();
    return this.#withRange(() => core.encode(text, options.addSpecialTokens ?? true));
  }

  /**
   * The text of some token ids. Bytes that are no character become U+FFFD.
   *
   * @param ids The ids. `// (n_tokens)`
   * @param options Whether to leave special tokens out.
   * @returns The text.
   * @throws {RangeError} If an id has no token.
   */
  decode(ids: ArrayLike<number>, options: { skipSpecialTokens?: boolean } = {}): string {
    const core = this.#use();
    const exact = ids instanceof Uint32Array ? ids : Uint32Array.from(ids, checkId);
    return this.#withRange(() => core.decode(exact, options.skipSpecialTokens ?? false));
  }

  /**
   * How the vocabulary spells a token, byte characters and all.
   *
   * @param id The token id.
   * @returns The spelling; undefined where no token has this id.
   */
  piece(id: number): string | undefined {
    return this.#use().piece(checkId(id));
  }

  /**
   * Starts decoding one token at a time, for {@linkcode TextStream}.
   *
   * @param skipSpecialTokens Whether special tokens are left out.
   * @returns The core's decoder, which the caller frees.
   * @internal
   */
  openDecoder(skipSpecialTokens: boolean): DecodeStream {
    return this.#use().stream(skipSpecialTokens);
  }

  /** The core says `TooLarge` and `OutOfRange` of arguments, not of a file, once the tokenizer stands. */
  #withRange<T>(action: () => T): T {
    try {
      return call(this.#file, action);
    } catch (error) {
      if (error instanceof FormatError && (error.code === "TooLarge" || error.code === "OutOfRange")) {
        throw new RangeError((error.cause as Error).message, { cause: error });
      }
      throw error;
    }
  }

  /** Gives the memory back. The tokenizer cannot be used afterwards. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#core.free();
  }

  /** Gives the memory back, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

function checkId(id: number): number {
  if (!Number.isInteger(id) || id < 0 || id > 0xffffffff) {
    throw new RangeError(`Token id must be a whole number: ${id}`);
  }
  return id;
}
