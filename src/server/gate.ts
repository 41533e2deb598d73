/**
 * How many requests run, and how many wait for their turn. First come, first served.
 *
 * @module
 */
import { ApiError } from "./api_error.ts";

interface Waiting {
  readonly units: number;
  readonly start: () => void;
}

/** See the module's description. */
export class Gate {
  /** Units that may run at a time. */
  readonly width: number;
  readonly #mostWaiting: number;
  readonly #waiting: Waiting[] = [];
  #running = 0;

  /**
   * @param width Units that may run at a time.
   * @param mostWaiting Requests that may wait.
   */
  constructor(width: number, mostWaiting: number) {
    this.width = width;
    this.#mostWaiting = mostWaiting;
  }

  /** Units that run. */
  get running(): number {
    return this.#running;
  }

  /** Requests that wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * Waits for a turn.
   *
   * @param units How many of the units to take, at most all.
   * @param signal Leaves the queue.
   * @returns Gives them back.
   * @throws {ApiError} 503 if too many wait already; the signal's reason if it aborts.
   */
  async enter(units: number, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#waiting.length > 0 || this.#running + units > this.width) {
      if (this.#waiting.length >= this.#mostWaiting) {
        throw new ApiError(503, `The server is busy: ${this.#waiting.length} requests wait already; try again later`, {
          code: "queue_full",
          headers: { "retry-after": "1" },
        });
      }
      await this.#turn(units, signal);
    } else {
      this.#running += units;
    }
    let isLeft = false;
    return () => {
      if (isLeft) return;
      isLeft = true;
      this.#running -= units;
      this.#admit();
    };
  }

  #turn(units: number, signal: AbortSignal): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const waiting: Waiting = {
        units,
        start: () => {
          signal.removeEventListener("abort", onAbort);
          this.#running += units;
          resolve();
        },
      };
      const onAbort = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        reject(signal.reason);
        // Who waited behind it may now fit.
        this.#admit();
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiting.push(waiting);
    });
  }

  #admit(): void {
    while (this.#waiting.length > 0 && this.#running + this.#waiting[0]!.units <= this.width) {
      this.#waiting.shift()!.start();
    }
  }
}
