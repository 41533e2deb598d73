/**
 * A conversation with a model, as its caller sees it.
 *
 * @module
 */
import { ChatTemplate } from "../chat/chat_template.ts";
import type { ChatMessage } from "../chat/message.ts";
import { type ChatPrompt, type ChatPromptOptions, promptTokens } from "../chat/prompt.ts";
import { FormatError } from "../errors.ts";
import { resolveStop } from "../generate/stop.ts";
import type { Host } from "./host.ts";
import type { GenerateOptions, Session } from "./session.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";

/** Options of `Model.chat`. */
export interface ChatOptions extends GenerateOptions, ChatPromptOptions {
  /**
   * A session to answer in: what it has in common with the conversation is not fed again, so that each turn costs only
   * what is new. Afterwards it holds the conversation with the answer. Default: a new one, which is freed at the end.
   */
  readonly session?: Session;
}

/** What rendering needs of a model. */
export interface ChatModel {
  /** The model's template; undefined for a base model. */
  readonly chatTemplate: ChatTemplate | undefined;
  /** Text to ids. */
  readonly tokenizer: Tokenizer;
  /** Most tokens, prompt and answer together. */
  readonly contextLength: number;
}

/**
 * The prompt of a conversation.
 *
 * @throws {FormatError} If there is no template, by the code `"NoChatTemplate"`, or it fails, by `"Template"`.
 */
export function renderChat(
  { chatTemplate, tokenizer, contextLength }: ChatModel,
  messages: readonly ChatMessage[],
  options: ChatPromptOptions & { readonly maxTokens?: number },
): Promise<ChatPrompt> {
  const { tools, addGenerationPrompt, variables, dropOldTurns, maxTokens } = options;
  return promptTokens(
    {
      template: requireTemplate(chatTemplate),
      encode: (text) => tokenizer.encode(text, { addSpecialTokens: false }),
      contextLength,
    },
    messages,
    {
      ...(tools === undefined ? {} : { tools }),
      ...(addGenerationPrompt === undefined ? {} : { addGenerationPrompt }),
      ...(variables === undefined ? {} : { variables }),
      ...(dropOldTurns === undefined ? {} : { dropOldTurns }),
    },
    resolveStop(maxTokens === undefined ? {} : { maxTokens }).maxTokens,
  );
}

/**
 * A model's chat template.
 *
 * @param file The text of `chat_template.jinja`, which comes before the tokenizer's.
 * @returns The template; undefined where there is none.
 */
export function chatTemplateOf(
  file: string | undefined,
  tokenizer: Tokenizer,
  host: Host,
): ChatTemplate | undefined {
  const source = file ?? tokenizer.chatTemplate;
  if (source === undefined) return undefined;
  const { bosId, eosId } = tokenizer;
  const spelling = (id: number | undefined) => id === undefined ? "" : tokenizer.piece(id) ?? "";
  return new ChatTemplate(source, { bos_token: spelling(bosId), eos_token: spelling(eosId) }, () => {
    if (host.openTemplateWorker === undefined) {
      throw new TypeError("Cannot chat here: nothing starts the worker that renders chat templates");
    }
    return host.openTemplateWorker();
  });
}

/**
 * Refuses a model without a chat template.
 *
 * @throws {FormatError} With the code `"NoChatTemplate"`.
 */
export function requireTemplate(template: ChatTemplate | undefined): ChatTemplate {
  if (template !== undefined) return template;
  throw new FormatError(
    "tokenizer_config.json",
    "Cannot chat with this model: it has no chat template, as base models do not; continue a text by generate()",
    { code: "NoChatTemplate" },
  );
}
