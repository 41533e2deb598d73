/**
 * What continues texts and answers messages: a model on this device, or one of the server that the page comes from.
 *
 * @module
 */
import type { ChatMessage, GenerateOptions, Model } from "../mod.ts";

/** Text that has come. */
export interface Piece {
  /** The text. */
  readonly text: string;
  /** How many tokens it was made of. */
  readonly nTokens: number;
  /** Tokens in the context by now, the prompt's included; undefined where that is not known yet. */
  readonly used: number | undefined;
}

/** See the module's description. */
export interface Speaker {
  /** What it is called. */
  readonly name: string;
  /** More about it, for those who want to know. */
  readonly facts: string;
  /** Where what is written goes. */
  readonly place: string;
  /** Whether it has a chat template. */
  readonly canChat: boolean;
  /** Most tokens of a text. */
  readonly contextLength: number;
  /** The model, where it is on this device. */
  readonly model: Model | undefined;
  /** Continues a text. */
  continue(text: string, options: GenerateOptions): AsyncIterable<Piece>;
  /** Answers the last message of a conversation. */
  answer(messages: readonly ChatMessage[], options: GenerateOptions): AsyncIterable<Piece>;
  /** Gives up what was read so far: a model's RoPE scaling can only change while nothing holds its keys. */
  forget(): void;
  /** Frees everything. */
  dispose(): void;
}
