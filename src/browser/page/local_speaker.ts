/**
 * A model on this device.
 *
 * @module
 */
import type { ChatMessage, GenerateOptions, Model, Session, TextChunk } from "../mod.ts";
import { counted } from "./elements.ts";
import type { Piece, Speaker } from "./speaker.ts";

/** See the module's description. Its session keeps what was read, so that only what is new is computed. */
export class LocalSpeaker implements Speaker {
  readonly name: string;
  readonly place = "A language model on your own graphics card. What you write stays on this device.";
  readonly model: Model;
  #session: Session | undefined;

  /** Takes over the model. */
  constructor(name: string, model: Model) {
    this.name = name;
    this.model = model;
  }

  get facts(): string {
    const { config, rope, contextLength, memory, deviceName } = this.model;
    const scaling = rope.type === "none" ? "" : `, RoPE scaled by ${rope.type === "yarn" ? "YaRN" : rope.type}`;
    return `${config.nLayers} layers, ${(memory.weightsBytes / 1e6).toFixed(0)} MB of weights, context of ${
      counted(contextLength)
    } tokens${scaling}; on ${deviceName}`;
  }

  get canChat(): boolean {
    return this.model.chatTemplate !== undefined;
  }

  get contextLength(): number {
    return this.model.contextLength;
  }

  continue(text: string, options: GenerateOptions): AsyncIterable<Piece> {
    const session = this.#openSession();
    session.replace(this.model.tokenizer.encode(text));
    return piecesOf(session, session.generate(options));
  }

  answer(messages: readonly ChatMessage[], options: GenerateOptions): AsyncIterable<Piece> {
    const session = this.#openSession();
    return piecesOf(session, this.model.chat(messages, { ...options, session }));
  }

  forget(): void {
    this.#session?.dispose();
    this.#session = undefined;
  }

  dispose(): void {
    this.forget();
    this.model.dispose();
  }

  #openSession(): Session {
    return this.#session ??= this.model.createSession();
  }
}

async function* piecesOf(session: Session, generation: AsyncIterable<TextChunk>): AsyncGenerator<Piece> {
  for await (const { text, tokens } of generation) yield { text, nTokens: tokens.length, used: session.length };
  yield { text: "", nTokens: 0, used: session.length };
}
