/**
 * A speaker at work: one thing at a time, which can be stopped, and whose errors are shown in the page.
 *
 * @module
 */
import type { ChatMessage, GenerateOptions } from "../mod.ts";
import { countedTokens, element, numberIn } from "./elements.ts";
import { showContext, Speedometer } from "./meter.ts";
import { sentenceOf } from "./sentences.ts";
import type { Piece, Speaker } from "./speaker.ts";

/** See the module's description. */
export class Writer {
  /** Who speaks. */
  readonly speaker: Speaker;
  #abort = new AbortController();
  #running: Promise<void> | undefined;

  /** Starts idle. */
  constructor(speaker: Speaker) {
    this.speaker = speaker;
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
   * Continues a text.
   *
   * @param onText Told of text as it comes.
   */
  async continue(text: string, onText: (text: string) => void, signal: AbortSignal): Promise<void> {
    await this.#follow(this.speaker.continue(text, { ...samplingOptions(), signal }), onText);
  }

  /** Answers the last message of a conversation. */
  async answer(messages: readonly ChatMessage[], onText: (text: string) => void, signal: AbortSignal): Promise<void> {
    await this.#follow(this.speaker.answer(messages, { ...samplingOptions(), signal }), onText);
  }

  async #follow(pieces: AsyncIterable<Piece>, onText: (text: string) => void): Promise<void> {
    const announcement = element("announcement", HTMLElement);
    announcement.textContent = "Writing";
    const speedometer = new Speedometer();
    try {
      for await (const { text, nTokens, used } of pieces) {
        if (nTokens > 0) speedometer.add(nTokens);
        if (text !== "") onText(text);
        if (used !== undefined) showContext(used, this.speaker.contextLength);
      }
    } finally {
      announcement.textContent = `Wrote ${countedTokens(speedometer.count)}`;
    }
  }

  /** Stops, and frees everything. */
  async dispose(): Promise<void> {
    await this.stop();
    this.speaker.dispose();
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
