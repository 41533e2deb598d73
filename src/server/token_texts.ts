/**
 * Log-probabilities, in the two shapes that the OpenAI API has for them.
 *
 * @module
 */
import type { TokenLogprobs } from "../kernels/top_logprobs.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";

/** One token of a chat's log-probabilities. */
interface ChatToken {
  /** The token's text. */
  readonly token: string;
  /** ln of its probability. */
  readonly logprob: number;
  /** Its bytes in UTF-8; null where it is a part of a character. */
  readonly bytes: readonly number[] | null;
}

/** Log-probabilities of a chat's tokens. */
export interface ChatLogprobs {
  /** Those of each token, with the likeliest in its place. */
  readonly content: readonly (ChatToken & { readonly top_logprobs: readonly ChatToken[] })[];
}

/** Log-probabilities of a completion's tokens. */
export interface CompletionLogprobs {
  /** The tokens' texts. */
  readonly tokens: readonly string[];
  /** ln of their probabilities; null for the first token of an echoed prompt. */
  readonly token_logprobs: readonly (number | null)[];
  /** The likeliest tokens in their places. */
  readonly top_logprobs: readonly (Readonly<Record<string, number>> | null)[] | null;
  /** Where they begin in the text. */
  readonly text_offset: readonly number[];
}

/** See the module's description. */
export class TokenTexts {
  readonly #tokenizer: Tokenizer;
  readonly #anchor: number;
  readonly #anchorText: string;

  /** Reads the tokenizer; keeps nothing of a request. */
  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
    // Some tokenizers drop the space at the beginning of a text, so that no token may stand there.
    this.#anchor = tokenizer.encode("a", { addSpecialTokens: false }).at(-1)!;
    this.#anchorText = tokenizer.decode([this.#anchor]);
  }

  /** The text of one token; U+FFFD for a part of a character. */
  textOf(id: number): string {
    return this.#tokenizer.decode([this.#anchor, id]).slice(this.#anchorText.length);
  }

  /** Log-probabilities of some tokens of a chat. */
  chat(tokens: readonly TokenLogprobs[]): ChatLogprobs {
    const one = ({ token, logprob }: { readonly token: number; readonly logprob: number }): ChatToken => {
      const text = this.textOf(token);
      return { token: text, logprob, bytes: text.includes("\ufffd") ? null : [...new TextEncoder().encode(text)] };
    };
    return { content: tokens.map((token) => ({ ...one(token), top_logprobs: token.top.map(one) })) };
  }

  /**
   * Log-probabilities of some tokens of a completion.
   *
   * @param offset Where the first of them begins in the text.
   */
  completion(tokens: readonly TokenLogprobs[], offset: number): CompletionLogprobs {
    const texts = tokens.map(({ token }) => this.textOf(token));
    return {
      tokens: texts,
      token_logprobs: tokens.map(({ logprob }) => logprob),
      top_logprobs: tokens.some(({ top }) => top.length > 0)
        ? tokens.map(({ top }) => Object.fromEntries(top.map(({ token, logprob }) => [this.textOf(token), logprob])))
        : null,
      text_offset: offsetsOf(texts, offset),
    };
  }

  /**
   * Log-probabilities of an echoed prompt.
   *
   * @param logprobs Those of all tokens but the first.
   */
  prompt(ids: readonly number[], logprobs: Float32Array): CompletionLogprobs {
    const texts = ids.map((id) => this.textOf(id));
    return {
      tokens: texts,
      token_logprobs: ids.map((_, i) => i === 0 ? null : logprobs[i - 1]!),
      top_logprobs: null,
      text_offset: offsetsOf(texts, 0),
    };
  }
}

function offsetsOf(texts: readonly string[], first: number): number[] {
  let at = first;
  return texts.map((text) => {
    const offset = at;
    at += text.length;
    return offset;
  });
}

/** Two stretches of one text's log-probabilities as one. */
export function joinLogprobs(a: CompletionLogprobs, b: CompletionLogprobs): CompletionLogprobs {
  const tops = (of: CompletionLogprobs) => of.top_logprobs ?? of.tokens.map(() => null);
  return {
    tokens: [...a.tokens, ...b.tokens],
    token_logprobs: [...a.token_logprobs, ...b.token_logprobs],
    top_logprobs: a.top_logprobs === null && b.top_logprobs === null ? null : [...tops(a), ...tops(b)],
    text_offset: [...a.text_offset, ...b.text_offset],
  };
}
