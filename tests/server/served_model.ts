/**
 * A served model for tests: the demo's, with a chat template, on a port of its own.
 *
 * @module
 */
import { loadModel, type Model } from "../../mod.ts";
import { ApiServer, type ServerOptions } from "../../src/server/server.ts";
import { chatFolder } from "../chat/chat_folder.ts";
import OpenAI from "../openai.ts";

/** The model's id. */
export const MODEL = "pg-nano";

/** A server and what speaks with it. */
export interface Served extends AsyncDisposable {
  /** The model. */
  readonly model: Model;
  /** The server. */
  readonly server: ApiServer;
  /** Where it listens. */
  readonly url: string;
  /** The official client. */
  readonly client: OpenAI;
  /** What it has logged. */
  readonly log: string[];
  /** Asks by `fetch`. */
  ask(path: string, init?: RequestInit): Promise<Response>;
  /** Posts JSON by `fetch`. */
  post(path: string, body: unknown): Promise<Response>;
}

const folder = await chatFolder();
let loaded: Model | undefined;

/** The model, loaded once for all tests of a file; the last call of `serveModel`'s result frees nothing of it. */
export async function sharedModel(): Promise<Model> {
  return loaded ??= await loadModel(folder.path, { contextLength: 512 });
}

/** Frees the model and its folder. */
export async function freeSharedModel(): Promise<void> {
  loaded?.dispose();
  loaded = undefined;
  await folder[Symbol.asyncDispose]();
}

/** Serves a model. */
export async function serveModel(options: Partial<ServerOptions> = {}, model?: Model): Promise<Served> {
  const used = model ?? await sharedModel();
  const log: string[] = [];
  const server = await ApiServer.listen(new Map([[MODEL, used]]), {
    hostname: "127.0.0.1",
    port: 0,
    apiKeys: [],
    allowedHosts: [],
    corsOrigins: [],
    maxRunning: 4,
    maxQueue: 8,
    prefixCache: 2,
    maxBodyBytes: 1 << 20,
    writeTimeoutMs: 5000,
    headersTimeoutMs: 5000,
    requestTimeoutMs: 5000,
    page: () => Promise.resolve(undefined),
    onLog: (line) => log.push(line),
    ...options,
  });
  const url = `http://127.0.0.1:${server.port}`;
  const ask = (path: string, init: RequestInit = {}) => fetch(url + path, init);
  return {
    model: used,
    server,
    url,
    client: new OpenAI({ baseURL: `${url}/v1`, apiKey: options.apiKeys?.[0] ?? "none", maxRetries: 0 }),
    log,
    ask,
    post: (path, body) =>
      ask(path, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: typeof body === "string" ? body : JSON.stringify(body),
      }),
    [Symbol.asyncDispose]: () => server.close(1000),
  };
}
