/**
 * A server of the OpenAI API over loaded models.
 *
 * @module
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Model } from "../api/model.ts";
import { ApiError, toApiError } from "./api_error.ts";
import { chatCompletions } from "./chat_completions.ts";
import { completions } from "./completions.ts";
import { Engine, type EngineOptions } from "./engine.ts";
import { Exchange, type ExchangeLimits } from "./exchange.ts";
import { Guard, type GuardOptions } from "./guard.ts";
import { Metrics } from "./metrics.ts";
import openapi from "./openapi.json" with { type: "json" };
import type { Page } from "./page.ts";
import { unixSeconds, type Usage } from "./usage.ts";

/** How a server listens, whom it lets in, and how it shares its models. */
export interface ServerOptions extends GuardOptions, EngineOptions, ExchangeLimits {
  /** TCP port; 0 takes any that is free. */
  readonly port: number;
  /** Milliseconds that a client may take for its headers. */
  readonly headersTimeoutMs: number;
  /** Milliseconds that a client may take for its headers and body. */
  readonly requestTimeoutMs: number;
  /** The files at `/`. */
  readonly page: Page;
  /** Told of each answer, of errors that are nobody's fault, and of lost devices: never a prompt, an answer or a key. */
  readonly onLog: (line: string) => void;
}

/**
 * Milliseconds that a connection may be idle: longer than clients keep theirs, whose pools drop them after 4 to 90 s. One
 * that is closed just as a client sends on it loses the request.
 */
const IDLE_MS = 95_000;

/** Connections at a time; each takes a file of the system. */
const MOST_CONNECTIONS = 1024;

type Handler = (exchange: Exchange) => Promise<Usage | void> | Usage | void;

/** See the module's description. */
export class ApiServer {
  readonly #options: ServerOptions;
  readonly #engines: ReadonlyMap<string, Engine>;
  readonly #guard: Guard;
  readonly #metrics = new Metrics();
  readonly #created = unixSeconds();
  readonly #http: Server;
  readonly #running = new Set<Exchange>();
  readonly #routes: Readonly<Record<string, Readonly<Record<string, Handler>>>>;
  #isDraining = false;
  #drained: (() => void) | undefined;

  private constructor(models: ReadonlyMap<string, Model>, options: ServerOptions) {
    this.#options = options;
    this.#engines = new Map([...models].map(([id, model]) => [id, new Engine(id, model, options)]));
    this.#guard = new Guard(options);
    const engineOf = (id: string) => this.#engineOf(id);
    this.#routes = {
      "/health": { GET: (exchange) => this.#health(exchange) },
      "/metrics": { GET: (exchange) => this.#showMetrics(exchange) },
      "/openapi.json": { GET: (exchange) => exchange.json(200, openapi) },
      "/v1/models": { GET: (exchange) => exchange.json(200, { object: "list", data: this.#models() }) },
      "/v1/completions": { POST: (exchange) => completions(exchange, engineOf) },
      "/v1/chat/completions": { POST: (exchange) => chatCompletions(exchange, engineOf) },
    };
    this.#http = createServer(
      {
        headersTimeout: options.headersTimeoutMs,
        requestTimeout: options.requestTimeoutMs,
        connectionsCheckingInterval: Math.min(1000, options.headersTimeoutMs),
        keepAliveTimeout: IDLE_MS,
        maxHeaderSize: 16 * 1024,
      },
      (request, response) => void this.#serve(request, response),
    );
    this.#http.maxConnections = MOST_CONNECTIONS;
    this.#http.on("clientError", (_error, socket) => socket.destroy());
  }

  /**
   * Begins to listen.
   *
   * @param models Models by the ids that requests name them by; they stay the caller's.
   * @throws {Error} If the address cannot be listened on.
   */
  static async listen(models: ReadonlyMap<string, Model>, options: ServerOptions): Promise<ApiServer> {
    const server = new ApiServer(models, options);
    const listening = Promise.withResolvers<void>();
    server.#http.once("error", listening.reject);
    server.#http.listen(options.port, options.hostname, () => listening.resolve());
    await listening.promise;
    return server;
  }

  /** The port that it listens on. */
  get port(): number {
    return (this.#http.address() as AddressInfo).port;
  }

  /**
   * Takes no more requests, lets those that run or wait end, and stops.
   *
   * @param graceMs Milliseconds after which what still runs is stopped too.
   */
  async close(graceMs: number): Promise<void> {
    this.#isDraining = true;
    const closed = new Promise<void>((resolve) => this.#http.close(() => resolve()));
    const drained = new Promise<void>((resolve) => this.#drained = resolve);
    if (this.#running.size === 0) this.#drained!();
    const timer = setTimeout(() => {
      for (const exchange of this.#running) exchange.abort(new ApiError(503, "The server stops"));
    }, graceMs);
    await drained;
    clearTimeout(timer);
    this.#http.closeAllConnections();
    await closed;
    for (const engine of this.#engines.values()) engine.dispose();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const exchange = new Exchange(request, response, this.#options);
    this.#running.add(exchange);
    let usage: Usage | void = undefined;
    let failure: ApiError | undefined;
    try {
      usage = await this.#answer(exchange);
    } catch (error) {
      failure = toApiError(error);
      // What goes wrong here is told by its kind alone: messages may quote what a client sent.
      if (failure.status >= 500 && !(error instanceof ApiError) && !exchange.signal.aborted) {
        this.#options.onLog(`error ${exchange.id} ${(error as Error)?.name ?? typeof error} ${placeOf(error)}`.trim());
      }
    } finally {
      const hasLeft = exchange.signal.aborted && !(exchange.signal.reason instanceof ApiError);
      await exchange.end(hasLeft ? undefined : failure);
      this.#account(exchange, usage, hasLeft ? 499 : failure?.status ?? exchange.status);
      this.#running.delete(exchange);
      if (this.#isDraining && this.#running.size === 0) this.#drained?.();
    }
  }

  async #answer(exchange: Exchange): Promise<Usage | void> {
    const { method, path } = exchange;
    this.#guard.checkHost(exchange.header("host"));
    const cors = this.#guard.corsHeaders(exchange.header("origin"), exchange.header("host"));
    for (const [name, value] of Object.entries(cors)) exchange.setHeader(name, value);
    if (method === "OPTIONS") return exchange.send(204, "text/plain", "");
    if (path !== "/health") this.#guard.checkKey(exchange.header("authorization"));
    if (this.#isDraining && path !== "/health") {
      throw new ApiError(503, "The server stops", { code: "stopping", headers: { "retry-after": "10" } });
    }
    const route = Object.hasOwn(this.#routes, path) ? this.#routes[path]! : undefined;
    if (route === undefined) return await this.#rest(exchange);
    const handler = Object.hasOwn(route, method) ? route[method]! : undefined;
    if (handler === undefined) {
      const allow = Object.keys(route).join(", ");
      throw new ApiError(405, `Expected ${allow} for ${path}`, { headers: { allow } });
    }
    return await handler(exchange);
  }

  /** What has no path of its own: one model, and the page. */
  async #rest(exchange: Exchange): Promise<void> {
    const { method, path } = exchange;
    if (method === "GET" && path.startsWith("/v1/models/")) {
      const { id } = this.#engineOf(decoded(path.slice("/v1/models/".length)));
      return exchange.json(200, this.#models().find((model) => model.id === id));
    }
    const file = method === "GET" ? await this.#options.page(path) : undefined;
    if (file === undefined) throw new ApiError(404, "There is nothing at this path", { code: "not_found" });
    exchange.send(200, file.type, file.body);
  }

  #models() {
    return [...this.#engines.values()].map(({ id, model }) => ({
      id,
      object: "model",
      created: this.#created,
      owned_by: "skein",
      context_length: model.contextLength,
      has_chat_template: model.chatTemplate !== undefined,
    }));
  }

  #engineOf(id: string): Engine {
    const engine = this.#engines.get(id);
    if (engine !== undefined) return engine;
    const shown = JSON.stringify(id.length > 100 ? `${id.slice(0, 100)}...` : id);
    throw new ApiError(404, `The model ${shown} does not exist; /v1/models lists those that do`, {
      param: "model",
      code: "model_not_found",
    });
  }

  #health(exchange: Exchange): void {
    const isLost = [...this.#engines.values()].some((engine) => engine.isLost);
    const status = isLost ? "device lost" : this.#isDraining ? "stopping" : "ok";
    exchange.json(status === "ok" ? 200 : 503, { status });
  }

  #showMetrics(exchange: Exchange): void {
    for (const { id, gate, model } of this.#engines.values()) {
      const labels = { model: id };
      this.#metrics.set("skein_running", "Generations that run.", labels, gate.running);
      this.#metrics.set("skein_waiting", "Requests that wait for their turn.", labels, gate.waiting);
      this.#metrics.set("skein_gpu_bytes", "Bytes of the model's tensors.", labels, model.memory.allocatedBytes);
    }
    exchange.send(200, "text/plain; version=0.0.4; charset=utf-8", this.#metrics.text());
  }

  #account(exchange: Exchange, usage: Usage | void, status: number): void {
    const { path, method, startedAt } = exchange;
    const route = Object.hasOwn(this.#routes, path) ? path : "other";
    const seconds = (performance.now() - startedAt) / 1000;
    this.#metrics.add("skein_requests_total", "Requests by their answer.", { route, status: String(status) });
    this.#metrics.observe("skein_request_seconds", "Time to the end of an answer.", { route }, seconds);
    let cost = "";
    if (usage) {
      const { prompt_tokens: prompt, completion_tokens: completion, prompt_tokens_details: { cached_tokens: cached } } =
        usage;
      this.#metrics.add("skein_prompt_tokens_total", "Tokens of prompts.", {}, prompt);
      this.#metrics.add("skein_cached_tokens_total", "Tokens of prompts that were cached.", {}, cached);
      this.#metrics.add("skein_completion_tokens_total", "Tokens that were generated.", {}, completion);
      cost = `, tokens: ${prompt} in, ${cached} of them cached, ${completion} out`;
    }
    this.#options.onLog(`${exchange.id} ${method} ${route} ${status} ${Math.round(1000 * seconds)} ms${cost}`);
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Where in the program an error came up. */
function placeOf(error: unknown): string {
  return /^\s+at .*$/m.exec((error as Error)?.stack ?? "")?.[0].trim() ?? "";
}
