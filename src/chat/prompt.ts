/**
 * From messages to the token ids that a model is to continue.
 *
 * @module
 */
import { CapacityError } from "../errors.ts";
import type { ChatTemplate, RenderInput } from "./chat_template.ts";
import { type ChatMessage, requireMessages, turnsOf } from "./message.ts";

/** What a prompt is made of, and how it is made to fit. */
export interface ChatPromptOptions extends Omit<RenderInput, "messages"> {
  /**
   * Whether the oldest turns are left out, whole, where the conversation and a quarter of the context, or `maxTokens` if
   * that is less, do not fit together. What comes before the first user message stays. Default false, which refuses.
   */
  readonly dropOldTurns?: boolean;
}

/** What `promptTokens` needs to know of a model. */
export interface PromptModel {
  /** The model's template. */
  readonly template: ChatTemplate;
  /** Token ids of a text, without special tokens of the tokenizer's own: templates write them. */
  encode(text: string): ArrayLike<number>;
  /** Most tokens, prompt and answer together. */
  readonly contextLength: number;
}

/** A prompt. */
export interface ChatPrompt {
  /** Its token ids. */
  readonly tokens: ArrayLike<number>;
  /** Turns that were left out. */
  readonly droppedTurns: number;
}

/**
 * Renders and encodes a conversation.
 *
 * @param maxTokens Most tokens of the answer.
 * @throws {FormatError} If the template fails.
 * @throws {CapacityError} If old turns may be left out and not even the last turn fits.
 */
export async function promptTokens(
  { template, encode, contextLength }: PromptModel,
  messages: readonly ChatMessage[],
  { dropOldTurns = false, ...rest }: ChatPromptOptions,
  maxTokens: number,
): Promise<ChatPrompt> {
  requireMessages(messages);
  const tokensOf = async (kept: readonly ChatMessage[]) => encode(await template.render({ ...rest, messages: kept }));
  const whole = await tokensOf(messages);
  const room = contextLength - Math.min(maxTokens, Math.ceil(contextLength / 4));
  if (!dropOldTurns || whole.length <= room) return { tokens: whole, droppedTurns: 0 };
  const { head, turns } = turnsOf(messages);
  // Between `fewest`, too few to leave out, and `enough`: a long history takes few renderings.
  let fewest = 0;
  let enough = turns.length;
  let tokens: ArrayLike<number> | undefined;
  while (enough - fewest > 1) {
    const dropped = (fewest + enough) >>> 1;
    const kept = await tokensOf([...head, ...turns.slice(dropped).flat()]);
    if (kept.length <= room) {
      enough = dropped;
      tokens = kept;
    } else fewest = dropped;
  }
  if (tokens === undefined) {
    throw new CapacityError(
      `Cannot fit the last turn of the conversation: with its answer it takes over the ${contextLength} tokens of the context; shorten it or lower maxTokens`,
      { requested: whole.length, available: room, unit: "tokens" },
    );
  }
  return { tokens, droppedTurns: enough };
}
