/**
 * Server-sent events, to a reader who may be slow or leave.
 *
 * @module
 */
import type { ServerResponse } from "node:http";

/** A reader hears something at least this often, in milliseconds, so that nothing on the way takes it for dead. */
const PING_MS = 15_000;

/** See the module's description. */
export class EventStream {
  readonly #response: ServerResponse;
  readonly #signal: AbortSignal;
  readonly #writeTimeoutMs: number;
  readonly #abort: (reason: unknown) => void;
  readonly #ping: ReturnType<typeof setInterval>;

  /**
   * @param signal Aborts when the reader leaves.
   * @param writeTimeoutMs Milliseconds that a reader may keep the server waiting.
   * @param abort Stops the work for a reader who takes longer.
   */
  constructor(
    response: ServerResponse,
    signal: AbortSignal,
    writeTimeoutMs: number,
    abort: (reason: unknown) => void,
  ) {
    this.#response = response;
    this.#signal = signal;
    this.#writeTimeoutMs = writeTimeoutMs;
    this.#abort = abort;
    this.#ping = setInterval(() => {
      if (!response.writableNeedDrain) this.#write(": ping\n\n");
    }, PING_MS);
    signal.addEventListener("abort", () => clearInterval(this.#ping), { once: true });
  }

  /** Whether anything has been sent. */
  get hasBegun(): boolean {
    return this.#response.headersSent;
  }

  /**
   * Sends an event, and waits until the reader can take the next.
   *
   * @throws The signal's reason, if the reader has left or keeps the server waiting too long.
   */
  async send(data: unknown): Promise<void> {
    this.#signal.throwIfAborted();
    if (this.#write(`data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`)) return;
    const ready = Promise.withResolvers<void>();
    const onDrain = () => ready.resolve();
    const onAbort = () => ready.reject(this.#signal.reason);
    const timer = setTimeout(() => {
      this.#abort(new DOMException("The client reads too slowly", "TimeoutError"));
      this.#response.destroy();
    }, this.#writeTimeoutMs);
    this.#response.once("drain", onDrain);
    this.#signal.addEventListener("abort", onAbort, { once: true });
    try {
      await ready.promise;
    } finally {
      clearTimeout(timer);
      this.#response.off("drain", onDrain);
      this.#signal.removeEventListener("abort", onAbort);
    }
  }

  /** Ends the events, where any have been sent. */
  end(): void {
    clearInterval(this.#ping);
    if (this.hasBegun && !this.#response.writableEnded) this.#response.end();
  }

  #write(text: string): boolean {
    if (!this.hasBegun) {
      this.#response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "x-accel-buffering": "no" });
    }
    return this.#response.write(text);
  }
}
