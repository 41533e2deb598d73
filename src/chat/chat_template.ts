/**
 * Chat templates. A template is a program that comes with a model, so that it runs in a worker which is ended when it
 * takes too long, and what it makes is bounded.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import { call, END, untilReady } from "../worker/call.ts";
import type { ChatMessage, Tool } from "./message.ts";

/** What the worker is asked to render. */
export interface RenderRequest {
  /** Jinja source. */
  readonly template: string;
  /** Variables of the template, by name. */
  readonly variables: Readonly<Record<string, unknown>>;
}

/** What the worker answers. */
export type RenderAnswer = { readonly text: string } | { readonly error: string };

/** Bounds on a template. */
export interface RenderLimits {
  /** Most milliseconds of one rendering. Default 10,000. */
  readonly timeoutMs?: number;
  /** Most characters of the rendered prompt. Default 16 Mi, more than any tokenizer takes. */
  readonly maxLength?: number;
}

/** What a prompt is made of. */
export interface RenderInput {
  /** The conversation. */
  readonly messages: readonly ChatMessage[];
  /** Tools that the assistant may call. Default none. */
  readonly tools?: readonly Tool[];
  /** Whether the prompt ends with the opening of the assistant's answer. Default true. */
  readonly addGenerationPrompt?: boolean;
  /** More variables of the template, such as `enable_thinking`. They do not replace those above. */
  readonly variables?: Readonly<Record<string, unknown>>;
}

/** A worker is kept this long for the next prompt, in milliseconds: it takes some 50 to start. */
const IDLE_MS = 2000;

/** A model's chat template. */
export class ChatTemplate implements Disposable {
  /** Jinja source. */
  readonly source: string;
  readonly #specialTokens: Readonly<Record<string, string>>;
  readonly #openWorker: () => Worker;
  readonly #limits: Required<RenderLimits>;
  #worker: Worker | undefined;
  #idle: ReturnType<typeof setTimeout> | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #disposed = false;

  /**
   * @param source Jinja source.
   * @param specialTokens Texts of special tokens by the names that templates have for them, such as `bos_token`.
   * @param openWorker Starts `template_worker.ts`.
   */
  constructor(
    source: string,
    specialTokens: Readonly<Record<string, string>>,
    openWorker: () => Worker,
    { timeoutMs = 10_000, maxLength = 2 ** 24 }: RenderLimits = {},
  ) {
    this.source = source;
    this.#specialTokens = specialTokens;
    this.#openWorker = openWorker;
    this.#limits = { timeoutMs, maxLength };
  }

  /**
   * Renders a conversation.
   *
   * @throws {FormatError} If the template fails, which is also how it refuses messages, takes too long, or makes too
   * much.
   * @throws {TypeError} If the worker does not start, as where Deno may not read its code.
   */
  render({ messages, tools, addGenerationPrompt = true, variables = {} }: RenderInput): Promise<string> {
    const request: RenderRequest = {
      template: this.source,
      variables: {
        ...variables,
        ...this.#specialTokens,
        messages,
        // As in transformers, where a template finds them defined and empty.
        tools: tools ?? null,
        documents: null,
        add_generation_prompt: addGenerationPrompt,
      },
    };
    // The worker does one at a time, so that the time that one waits for another is not held against it.
    const result = this.#turn.then(() => this.#ask(request));
    this.#turn = result.catch(() => {});
    return result;
  }

  /** Ends the worker. */
  dispose(): void {
    this.#disposed = true;
    this.#end();
  }

  /** Ends the worker when a `using` block ends. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  async #ask(request: RenderRequest): Promise<string> {
    if (this.#disposed) throw new TypeError("Cannot use a chat template after its disposal");
    const { timeoutMs, maxLength } = this.#limits;
    clearTimeout(this.#idle);
    const isNew = this.#worker === undefined;
    const worker = this.#worker ??= this.#openWorker();
    try {
      if (isNew) await untilReady(worker, { failure: noWorker });
      const answer = await call<RenderAnswer>(worker, request, { timeoutMs, failure });
      if ("error" in answer) throw failure(answer.error);
      if (answer.text.length > maxLength) {
        throw failure(`it makes ${answer.text.length} characters, at most ${maxLength} are allowed`);
      }
      this.#idle = setTimeout(() => this.#end(), IDLE_MS);
      if (this.#disposed) this.#end();
      return answer.text;
    } catch (error) {
      // One that runs on would not hear that it is to end.
      worker.terminate();
      this.#worker = undefined;
      throw error;
    }
  }

  #end(): void {
    clearTimeout(this.#idle);
    this.#worker?.postMessage(END);
    this.#worker = undefined;
  }
}

function noWorker(reason: string): TypeError {
  return new TypeError(`Cannot start the worker that renders chat templates: ${reason}`);
}

function failure(reason: string): FormatError {
  // What a template raises may be of any length.
  const shown = reason.length > 500 ? `${reason.slice(0, 500)}...` : reason;
  return new FormatError("chat template", `Cannot render the chat template: ${shown}`, { code: "Template" });
}
