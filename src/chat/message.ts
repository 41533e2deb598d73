/**
 * Messages of a conversation, in the shape that chat templates and the OpenAI API share. Their keys are theirs, because
 * templates read them by name.
 *
 * @module
 */

/** A call of a tool that an assistant asks for. */
export interface ToolCall {
  /** What the tool's answer refers to. */
  readonly id?: string;
  /** The only kind that there is. */
  readonly type: "function";
  /** Name and arguments. */
  readonly function: {
    /** The tool's name. */
    readonly name: string;
    /** Arguments by name. */
    readonly arguments: Readonly<Record<string, unknown>>;
  };
}

/** A tool that an assistant may call. */
export interface Tool {
  /** The only kind that there is. */
  readonly type: "function";
  /** What the model is told about it. */
  readonly function: {
    /** The tool's name. */
    readonly name: string;
    /** What it does. */
    readonly description?: string;
    /** JSON Schema of its arguments. */
    readonly parameters?: Readonly<Record<string, unknown>>;
  };
}

/** One message of a conversation. */
export interface ChatMessage {
  /** Who speaks: `system`, `user`, `assistant`, `tool`, or what else the model's template knows. */
  readonly role: string;
  /** What was said; empty where an assistant only calls tools. */
  readonly content: string;
  /** Calls that an assistant makes. */
  readonly tool_calls?: readonly ToolCall[];
  /** Which call a tool answers. */
  readonly tool_call_id?: string;
  /** Who exactly speaks. */
  readonly name?: string;
}

/**
 * Refuses what is no conversation.
 *
 * @throws {TypeError} If a message has no role or no text.
 * @throws {RangeError} If there is no message.
 */
export function requireMessages(messages: readonly ChatMessage[]): void {
  if (!Array.isArray(messages)) throw new TypeError(`Messages must be an array, got ${typeof messages}`);
  if (messages.length === 0) throw new RangeError("Cannot chat without a message: give at least one");
  for (const [index, message] of messages.entries()) {
    for (const key of ["role", "content"] as const) {
      const value = message?.[key];
      if (typeof value !== "string") {
        throw new TypeError(
          `Message ${index} must have a text as its ${key}, got ${value === null ? "null" : typeof value}`,
        );
      }
    }
  }
}

/**
 * Parts a conversation into what comes before the first user message and turns, each a user message and all up to the
 * next one.
 */
export function turnsOf(
  messages: readonly ChatMessage[],
): { readonly head: readonly ChatMessage[]; readonly turns: readonly (readonly ChatMessage[])[] } {
  const starts = messages.flatMap(({ role }, index) => role === "user" ? [index] : []);
  return {
    head: messages.slice(0, starts[0] ?? messages.length),
    turns: starts.map((start, i) => messages.slice(start, starts[i + 1])),
  };
}
