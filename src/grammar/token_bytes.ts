/**
 * The bytes that each token of a vocabulary stands for, in the middle of a text.
 *
 * @module
 */
import type { Tokenizer } from "../tokenizer/tokenizer.ts";

/** A vocabulary, as grammars take it. */
export interface TokenBytes {
  /** The bytes of all tokens, one after the other. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** How many of them each token has; 0 for an id without a token: (vocabSize) u32. */
  readonly lengths: Uint32Array<ArrayBuffer>;
}

/** What takes the place of bytes that are no character. */
const REPLACEMENT = "\ufffd";

/** How many tokens are spelled in one go: a few tens of milliseconds, in which this thread does nothing else. */
const TURN = 2048;

/** Stands before the name of a special token: no text has this byte. */
const SPECIAL = 0xff;

/**
 * Spells a vocabulary, in turns with whatever else this thread has to do.
 *
 * The tokenizer's own decoder says what a token is as text. For one that is part of a character, which has no text of its
 * own, the vocabulary's spelling says which bytes: `<0xE4>` in SentencePiece's, GPT-2's alphabet of bytes in others.
 *
 * @param vocabSize Number of logits, which may be more than there are tokens.
 * @throws {TypeError} If the tokenizer is disposed meanwhile.
 */
export async function spellTokens(tokenizer: Tokenizer, vocabSize: number): Promise<TokenBytes> {
  const encoder = new TextEncoder();
  const special = new Set(tokenizer.specialIds);
  const anchor = tokenizer.encode("a", { addSpecialTokens: false }).at(-1) ?? 0;
  const decoder = tokenizer.openDecoder(false);
  const lengths = new Uint32Array(vocabSize);
  const spelled: Uint8Array[] = [];
  try {
    // At the beginning of a text some decoders drop a space.
    decoder.push(anchor);
    const after = decoder.push(anchor);
    for (let id = 0; id < vocabSize; id++) {
      if (id % TURN === TURN - 1) await new Promise((resolve) => setTimeout(resolve));
      const piece = tokenizer.piece(id);
      if (piece === undefined) continue;
      const isSpecial = special.has(id);
      const text = isSpecial ? piece : (decoder.push(id) + decoder.push(anchor)).slice(0, -after.length);
      const bytes = isSpecial
        ? Uint8Array.of(SPECIAL, ...encoder.encode(piece))
        : (text.includes(REPLACEMENT) ? bytesOf(piece) : undefined) ?? encoder.encode(text);
      lengths[id] = bytes.length;
      spelled.push(bytes);
    }
  } finally {
    decoder.free();
  }
  const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
  let at = 0;
  for (const each of spelled) {
    bytes.set(each, at);
    at += each.length;
  }
  return { bytes, lengths };
}

/** The bytes that a piece spells one by one; undefined where it spells characters. */
function bytesOf(piece: string): Uint8Array | undefined {
  const digits = /^<0x([0-9A-F]{2})>$/i.exec(piece)?.[1];
  if (digits !== undefined) return Uint8Array.of(parseInt(digits, 16));
  const bytes = [...piece].map((character) => byteOf(character.codePointAt(0)!));
  return bytes.includes(undefined) ? undefined : Uint8Array.from(bytes as number[]);
}

/** GPT-2's alphabet: printable Latin-1 is itself, the other bytes follow from U+0100 on in ascending order. */
function byteOf(code: number): number | undefined {
  if (code >= 0x21 && code <= 0x7e || code >= 0xa1 && code <= 0xff && code !== 0xad) return code;
  if (code >= 0x100 && code <= 0x120) return code - 0x100;
  if (code >= 0x121 && code <= 0x142) return code - 0x121 + 0x7f;
  return code === 0x143 ? 0xad : undefined;
}
