/**
 * A conversation in progress: its messages, and the changes that a person makes to them.
 *
 * @module
 */
import { type ChatMessage, requireMessages } from "./message.ts";

/** See the module's description. */
export class Conversation {
  #messages: ChatMessage[];

  /** @param system What the assistant is told before anything else; undefined for nothing. */
  constructor(system?: string) {
    this.#messages = system === undefined ? [] : [{ role: "system", content: system }];
  }

  /** All messages, oldest first. */
  get messages(): readonly ChatMessage[] {
    return this.#messages;
  }

  /** What the assistant is told before anything else; undefined where it is told nothing. */
  get system(): string | undefined {
    const [first] = this.#messages;
    return first?.role === "system" ? first.content : undefined;
  }

  /** Replaces what the assistant is told before anything else; undefined takes it away. The rest stays. */
  set system(content: string | undefined) {
    const rest = this.system === undefined ? this.#messages : this.#messages.slice(1);
    this.#messages = content === undefined ? [...rest] : [{ role: "system", content }, ...rest];
  }

  /** Adds what the user says. */
  ask(content: string): void {
    this.#messages.push({ role: "user", content });
  }

  /** Adds what the assistant answers. */
  answer(content: string): void {
    this.#messages.push({ role: "assistant", content });
  }

  /**
   * Takes the last user message and all after it away.
   *
   * @returns What the user had said; undefined where there was nothing, and nothing changes.
   */
  takeBack(): string | undefined {
    const last = this.#messages.findLastIndex(({ role }) => role === "user");
    if (last < 0) return undefined;
    const [{ content }] = this.#messages.splice(last) as [ChatMessage];
    return content;
  }

  /** Forgets all but what the assistant is told before anything else. */
  clear(): void {
    this.#messages = this.system === undefined ? [] : this.#messages.slice(0, 1);
  }

  /** The conversation as a JSON document, which `read` reads. */
  toJson(): string {
    return `${JSON.stringify({ messages: this.#messages }, undefined, 2)}\n`;
  }

  /**
   * Replaces the conversation by a document that `toJson` wrote, or by a bare array of messages.
   *
   * @throws {SyntaxError} If it is not JSON.
   * @throws {TypeError} If it holds no messages.
   */
  read(json: string): void {
    const document: unknown = JSON.parse(json);
    const messages = Array.isArray(document) ? document : (document as { messages?: unknown } | null)?.messages;
    if (!Array.isArray(messages)) throw new TypeError("Expected a JSON object with an array named messages");
    if (messages.length > 0) requireMessages(messages);
    this.#messages = [...messages];
  }
}
