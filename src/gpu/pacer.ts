/**
 * Decides how much work one submit may hold, so that no submit takes much longer than a twentieth of a second: text
 * then streams evenly, and an abort takes effect soon. It never changes what is computed, only where it is cut.
 *
 * @module
 */

/** Milliseconds of GPU work that one submit should hold. */
export const SUBMIT_MS = 50;

/** Waits shorter than this keep nobody from anything. */
const SHORT_MS = 20;

/** Waits are taken for no longer than this: what is known may be of work so small that starting it was all its time. */
const LONG_MS = 2 * SUBMIT_MS;

/** Part of the least time of some work in which it is sure not to end. */
const SURE_PART = 0.75;

/**
 * Milliseconds to leave to the event loop before asking for the end of work that takes at least `ms` more. A host whose
 * question blocks until the answer comes, as Deno's does, would otherwise keep everything else waiting for all of it;
 * asked too late, the GPU would have nothing to do.
 */
export function headStart(ms: number): number {
  return ms < SHORT_MS ? 0 : SURE_PART * Math.min(ms, LONG_MS);
}

/** Learns how fast the device does a kind of work. */
export class Pacer {
  #perMs: number;
  #fastest = 0;

  /** @param perMs First guess of the work done in a millisecond, in any unit of the caller's. */
  constructor(perMs: number) {
    this.#perMs = perMs;
  }

  /** Work that fits in one submit, in the caller's unit. */
  get budget(): number {
    return this.#perMs * SUBMIT_MS;
  }

  /** Milliseconds that so much work takes at least, by what was fastest of late; 0 while nothing is known. */
  leastMs(work: number): number {
    return this.#fastest === 0 ? 0 : work / this.#fastest;
  }

  /**
   * Takes in one measurement. Later ones count for more, and a slow one at once: a submit that is too long is felt.
   *
   * @param work What was done.
   * @param ms How long it took, in milliseconds.
   */
  observe(work: number, ms: number): void {
    if (!(work > 0) || !(ms > 0)) return;
    const rate = work / ms;
    this.#fastest = Math.max(rate, 0.95 * this.#fastest);
    const weight = rate < this.#perMs ? 0.7 : 0.3;
    // A first guess may be far off, but one odd measurement must not throw the next submit off by more than 4.
    const bounded = Math.min(Math.max(rate, this.#perMs / 4), this.#perMs * 4);
    this.#perMs = (1 - weight) * this.#perMs + weight * bounded;
  }
}
