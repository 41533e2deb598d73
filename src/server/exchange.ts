/**
 * One request and its answer. Node's server is used, and not `Deno.serve`, because it ends clients that send their
 * headers or their body too slowly.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { ApiError } from "./api_error.ts";
import { EventStream } from "./event_stream.ts";
import { parseJsonBody } from "./json_body.ts";

/** Bounds on an exchange. */
export interface ExchangeLimits {
  /** Bytes of a body. */
  readonly maxBodyBytes: number;
  /** Milliseconds that a reader may keep the server waiting. */
  readonly writeTimeoutMs: number;
}

/** Milliseconds that a client has to notice the answer before its connection is cut. */
const PARTING_MS = 500;

/** See the module's description. */
export class Exchange {
  /** The request's method. */
  readonly method: string;
  /** The request's path, without its query. */
  readonly path: string;
  /** A name for the exchange, which the answer carries too. */
  readonly id: string = crypto.randomUUID();
  /** When the request came, by `performance.now`. */
  readonly startedAt: number = performance.now();
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #limits: ExchangeLimits;
  readonly #leaving = new AbortController();
  #events: EventStream | undefined;

  /** Wraps what Node's server hands out. */
  constructor(request: IncomingMessage, response: ServerResponse, limits: ExchangeLimits) {
    this.#request = request;
    this.#response = response;
    this.#limits = limits;
    this.method = request.method ?? "GET";
    this.path = (request.url ?? "/").split("?", 1)[0]!;
    response.setHeader("x-request-id", this.id);
    response.setHeader("x-content-type-options", "nosniff");
    response.setHeader("cache-control", "no-store");
    const leave = () => {
      if (!response.writableEnded) this.#leaving.abort(new DOMException("The client has left", "AbortError"));
    };
    response.on("close", leave);
    response.on("error", leave);
    request.on("error", leave);
  }

  /** Aborts when the client leaves before its answer is whole. */
  get signal(): AbortSignal {
    return this.#leaving.signal;
  }

  /** Stops the work, for what the server itself has reason to. */
  abort(reason: unknown): void {
    this.#leaving.abort(reason);
  }

  /** HTTP status of the answer; 0 while there is none. */
  get status(): number {
    return this.#response.headersSent ? this.#response.statusCode : 0;
  }

  /** A header of the request; undefined where it is not there. */
  header(name: string): string | undefined {
    const value = this.#request.headers[name];
    return Array.isArray(value) ? value.join(", ") : value;
  }

  /** Sets a header of the answer. */
  setHeader(name: string, value: string): void {
    this.#response.setHeader(name, value);
  }

  /**
   * The request's body, as JSON.
   *
   * @throws {ApiError} 415 if it is not said to be JSON, 413 if it is too long, 400 if it is broken.
   */
  async readJson(): Promise<unknown> {
    // A page of another origin may send any other type without asking first.
    const type = (this.header("content-type") ?? "").split(";", 1)[0]!.trim().toLowerCase();
    if (type !== "application/json") throw new ApiError(415, "Expected the content-type application/json");
    return parseJsonBody(await this.#readBody());
  }

  /** Answers with JSON. */
  json(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): void {
    this.send(status, "application/json", `${JSON.stringify(body)}\n`, headers);
  }

  /** Answers with a text or bytes. */
  send(
    status: number,
    type: string,
    body: string | Uint8Array,
    headers: Readonly<Record<string, string>> = {},
  ): void {
    if (this.#response.headersSent) return;
    this.#response.writeHead(status, { "content-type": type, ...headers });
    this.#response.end(body);
    if (!this.#request.complete) this.#part();
  }

  /** Answers with events, which begin with the first of them. */
  events(): EventStream {
    const { writeTimeoutMs } = this.#limits;
    return this.#events = new EventStream(this.#response, this.signal, writeTimeoutMs, (reason) => this.abort(reason));
  }

  /** Ends the answer: events that have begun, with the error as the last of them, or by the error alone. */
  async end(error?: ApiError): Promise<void> {
    const events = this.#events;
    if (error !== undefined && events?.hasBegun) await events.send(error.body).catch(() => {});
    else if (error !== undefined) this.json(error.status, error.body, error.fields.headers ?? {});
    events?.end();
  }

  async #readBody(): Promise<Uint8Array> {
    const { maxBodyBytes } = this.#limits;
    const tooLong = () => new ApiError(413, `Cannot read the request's body: it has over ${maxBodyBytes} bytes`);
    if (Number(this.header("content-length") ?? 0) > maxBodyBytes) throw tooLong();
    const pieces: Uint8Array[] = [];
    let length = 0;
    for await (const piece of this.#request) {
      length += piece.length;
      if (length > maxBodyBytes) throw tooLong();
      pieces.push(piece);
    }
    const body = new Uint8Array(length);
    let at = 0;
    for (const piece of pieces) {
      body.set(piece, at);
      at += piece.length;
    }
    return body;
  }

  /** Cuts the connection of a client that still sends what nobody reads. */
  #part(): void {
    this.#request.resume();
    setTimeout(() => {
      // What came whole after all may have been followed by a request on the same connection.
      if (!this.#request.complete) this.#request.destroy();
    }, PARTING_MS);
  }
}
