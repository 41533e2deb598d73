/**
 * A loaded model at work: one thing at a time, which can be stopped, and whose errors are shown in the page.
 *
 * @module
 */
import type { ChatMessage, GenerateOptions, Model, Session, TextChunk } from "../mod.ts";
import { element, numberIn } from "./elements.ts";
import { showContext, Speedometer } from "./meter.ts";
import { sentenceOf } from "./sentences.ts";

/** See the module's description. */
export class Writer {
  /** The model. */
  readonly model: Model;
  #session: Session | undefined;
  #abort = new AbortController();
  #running: Promise<void> | undefined;

  /** Starts idle. */
  constructor(model: Model) {
    this.model = model;
  }

  /** Whether something is under way. */
  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /**
   * Does one thing, or stops the one that is under way.
   *
   * @param button Says "Stop" meanwhile.
   */
  async run(button: HTMLButtonElement, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    if (this.#running !== undefined) return await this.stop();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#running = promise;
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    const failure = element("work-error", HTMLElement);
    const label = button.textContent;
    failure.textContent = "";
    button.textContent = "Stop";
    button.classList.add("stops");
    try {
      await work(signal);
    } catch (error) {
      if (!signal.aborted) failure.textContent = sentenceOf(error);
    } finally {
      button.textContent = label;
      button.classList.remove("stops");
      this.#running = undefined;
      resolve();
    }
  }

  /** Stops what is under way, if anything, and waits for its end. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  /**
   * Continues a prompt, of which only what differs from the session's tokens is computed.
   *
   * @param prompt Token ids.
   * @param onText Told of text as it comes.
   */
  async continue(prompt: ArrayLike<number>, onText: (text: string) => void, signal: AbortSignal): Promise<void> {
    const session = this.#openSession();
    let same = 0;
    while (same < session.length && session.tokens[same] === prompt[same]) same++;
    session.truncate(same);
    session.append(Array.from(prompt).slice(same));
    await this.#follow(session.generate({ ...samplingOptions(), signal }), onText);
  }

  /** Answers the last message of a conversation. */
  async answer(messages: readonly ChatMessage[], onText: (text: string) => void, signal: AbortSignal): Promise<void> {
    const session = this.#openSession();
    await this.#follow(this.model.chat(messages, { ...samplingOptions(), signal, session }), onText);
  }

  /** Gives up what was read so far: a model's RoPE scaling can only change while nothing holds its keys. */
  forget(): void {
    this.#session?.dispose();
    this.#session = undefined;
  }

  #openSession(): Session {
    return this.#session ??= this.model.createSession();
  }

  async #follow(generation: AsyncIterable<TextChunk>, onText: (text: string) => void): Promise<void> {
    const announcement = element("announcement", HTMLElement);
    announcement.textContent = "Writing";
    const speedometer = new Speedometer();
    const showUse = () => showContext(this.#session?.length ?? 0, this.model.contextLength);
    try {
      for await (const { text, tokens } of generation) {
        speedometer.add(tokens.length);
        onText(text);
        showUse();
      }
    } finally {
      showUse();
      announcement.textContent = `Wrote ${speedometer.count} tokens`;
    }
  }

  /** Stops, and frees everything but the model. */
  async dispose(): Promise<void> {
    await this.stop();
    this.forget();
  }
}

function samplingOptions(): GenerateOptions {
  const given = {
    temperature: numberIn("temperature"),
    topP: numberIn("top-p"),
    maxTokens: numberIn("max-tokens"),
    seed: numberIn("seed"),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}
