/**
 * A model of the server that the page comes from, by the server's API.
 *
 * @module
 */
import type { ChatMessage, GenerateOptions } from "../mod.ts";
import { counted } from "./elements.ts";
import type { Piece, Speaker } from "./speaker.ts";

/** What the server tells of a model. */
interface ServedModel {
  readonly id: string;
  readonly context_length: number;
  readonly has_chat_template: boolean;
}

/** An event of a stream. */
interface StreamEvent {
  readonly choices?: readonly { readonly text?: string; readonly delta?: { readonly content?: string } }[];
  readonly usage?: { readonly completion_tokens: number; readonly total_tokens: number } | null;
  readonly error?: { readonly message: string };
}

/** Where the server's API is, as the server writes it into the page; empty on a server of mere files. */
const API = document.documentElement.dataset["api"] ?? "";

/** The models of the server that the page comes from; none on a server of mere files. */
export async function servedModels(): Promise<Speaker[]> {
  if (API === "") return [];
  const response = await fetch(`${API}/models`);
  if (!response.ok) throw await failureOf(response);
  const { data } = await response.json() as { readonly data: readonly ServedModel[] };
  return data.map((model) => new ServerSpeaker(model));
}

/** See the module's description. */
class ServerSpeaker implements Speaker {
  readonly name: string;
  readonly place = "A language model on the server that this page comes from, which reads what you write.";
  readonly canChat: boolean;
  readonly contextLength: number;
  readonly model = undefined;

  constructor({ id, context_length, has_chat_template }: ServedModel) {
    this.name = id;
    this.contextLength = context_length;
    this.canChat = has_chat_template;
  }

  get facts(): string {
    return `context of ${counted(this.contextLength)} tokens; on this server`;
  }

  continue(text: string, options: GenerateOptions): AsyncIterable<Piece> {
    return this.#ask("completions", { prompt: text }, options);
  }

  answer(messages: readonly ChatMessage[], options: GenerateOptions): AsyncIterable<Piece> {
    return this.#ask("chat/completions", { messages }, options);
  }

  forget(): void {}

  dispose(): void {}

  async *#ask(path: string, what: object, options: GenerateOptions): AsyncGenerator<Piece> {
    const { temperature, topP, maxTokens, seed, signal } = options;
    const response = await fetch(`${API}/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model: this.name,
        ...what,
        ...{ temperature, seed, top_p: topP, max_tokens: maxTokens },
        ...{ stream: true, stream_options: { include_usage: true } },
      }),
      signal: signal ?? null,
    });
    if (!response.ok) throw await failureOf(response);
    let nTokens = 0;
    for await (const { choices = [], usage, error } of eventsOf(response.body!)) {
      if (error !== undefined) throw new Error(error.message);
      const text = choices[0]?.text ?? choices[0]?.delta?.content ?? "";
      // The server sends what each token adds; only its account tells of those that added nothing.
      const added = usage ? usage.completion_tokens - nTokens : text === "" ? 0 : 1;
      nTokens += added;
      yield { text, nTokens: added, used: usage?.total_tokens };
    }
  }
}

/** The events of an answer, until the one that says that it is done. */
async function* eventsOf(body: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<StreamEvent> {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const events = (held + part.value).split("\n\n");
      held = events.pop()!;
      for (const event of events) {
        // What begins with a colon only keeps the connection alive.
        if (event.startsWith("data: {")) yield JSON.parse(event.slice("data: ".length));
      }
    }
  } finally {
    await reader.cancel();
  }
}

async function failureOf(response: Response): Promise<Error> {
  const { error } = await response.json().catch(() => ({})) as StreamEvent;
  return new Error(error?.message ?? `The server answered with status ${response.status}`);
}
