/**
 * How full the context is, and how fast tokens come.
 *
 * @module
 */
import { counted, element } from "./elements.ts";

/** Shows the use of the context. */
export function showContext(used: number, length: number): void {
  const bar = element("context", HTMLProgressElement);
  bar.max = length;
  bar.value = Math.min(used, length);
  element("context-use", HTMLElement).textContent = `${counted(used)} of ${counted(length)} tokens`;
}

/** Counts the tokens of one generation as they come. */
export class Speedometer {
  readonly #speed = element("speed", HTMLElement);
  readonly #started = performance.now();
  #firstAt = 0;
  #count = 0;

  /** Tokens so far. */
  get count(): number {
    return this.#count;
  }

  /** Takes in tokens that just came. Their speed is that of all after the first piece, which waits for the prompt. */
  add(nTokens: number): void {
    const now = performance.now();
    if (this.#count === 0) {
      this.#firstAt = now;
      this.#speed.textContent = `First text after ${((now - this.#started) / 1000).toFixed(1)} s`;
    } else {
      const perSecond = (this.#count + nTokens - 1) / ((now - this.#firstAt) / 1000);
      this.#speed.textContent = `${perSecond.toFixed(perSecond < 10 ? 1 : 0)} tokens per second`;
    }
    this.#count += nTokens;
  }
}
