/**
 * `skein serve`: the OpenAI API over models.
 *
 * @module
 */
import type { Model } from "../../mod.ts";
import { isLoopback } from "../server/guard.ts";
import { folderPage } from "../server/page.ts";
import { ApiServer } from "../server/server.ts";
import { type Command, defineCommand, readTextFile } from "./command.ts";
import { modelOptions, openModel } from "./loading.ts";
import { bytes, integer, number, text, texts, UsageError } from "./options.ts";

const { json: _noJson, ...plainModelOptions } = modelOptions;
const options = {
  "host": text("ADDRESS", "Address to listen on, 127.0.0.1 unless given: this machine only"),
  "port": integer("Port to listen on, 8080 unless given; 0 takes a free one", { min: 0, max: 65535 }),
  "api-key": texts("KEY", "Answer only requests with this key"),
  "api-key-file": text(
    "FILE",
    "The same with the keys in a file, one on a line, where no list of processes shows them",
  ),
  "cors-origin": texts("ORIGIN", "Let pages of this origin ask, as https://app.example; * for all"),
  "allow-host": texts("NAME", "Answer requests that call the server by this name too"),
  "max-running": integer("Generations at a time, 4 unless given; each takes memory for its keys and values", {
    min: 1,
    max: 256,
  }),
  "max-queue": integer("Requests that may wait, 64 unless given; more get status 503", { min: 0, max: 100_000 }),
  "prefix-cache": integer("Caches kept for prompts that begin alike, 4 unless given", { min: 0, max: 1000 }),
  "max-body": bytes("Longest body of a request, 8MiB unless given"),
  "drain": number("Seconds that answers may take to end after SIGTERM or Ctrl-C, 30 unless given", {
    min: 0,
    max: 3600,
  }),
  ...plainModelOptions,
};

/** Where `deno task build:browser` leaves the page. */
const PAGE = new URL("../../dist/browser/", import.meta.url);

/** Code of the workers that render chats and follow grammars, which Deno reads only where it may. */
const WORKER_CODE = [
  "src/chat/template_worker.ts",
  "src/grammar/grammar_worker.ts",
  "src/grammar/schema_place.ts",
  "src/worker/call.ts",
  "wasm/grammar/pkg/grammar.js",
];

/** The command. */
export const serve: Command = defineCommand({
  summary: "Serve models by the OpenAI API, and a page at /",
  usage: "MODEL...",
  options,
  run: async ({ positionals, values, terminal, signal }) => {
    const ids = positionals.map(modelId);
    if (ids.length === 0) throw new UsageError("Expected MODEL as argument 1");
    const twice = ids.find((id, index) => ids.indexOf(id) < index);
    if (twice !== undefined) throw new UsageError(`Cannot serve two models by the name ${JSON.stringify(twice)}`);
    const hostname = values.host ?? "127.0.0.1";
    const port = values.port ?? 8080;
    const shown = bracketed(hostname);
    await requirePermissions(hostname, port);
    const apiKeys = [...values["api-key"], ...await keysOf(values["api-key-file"])];
    const models = new Map<string, Model>();
    const stopping = stopSignal(signal);
    try {
      for (const [index, id] of ids.entries()) {
        models.set(
          id,
          await openModel(positionals[index]!, { ...values, json: false }, { terminal, signal: stopping }),
        );
      }
      const server = await ApiServer.listen(models, {
        hostname,
        port,
        apiKeys,
        corsOrigins: values["cors-origin"],
        allowedHosts: values["allow-host"].map((name) => name.toLowerCase()),
        maxRunning: values["max-running"] ?? 4,
        maxQueue: values["max-queue"] ?? 64,
        prefixCache: values["prefix-cache"] ?? 4,
        maxBodyBytes: values["max-body"] ?? 8 << 20,
        headersTimeoutMs: 10_000,
        requestTimeoutMs: 60_000,
        writeTimeoutMs: 30_000,
        page: folderPage(PAGE),
        onLog: (line) => terminal.note(line),
      }).catch((cause) => {
        throw new UsageError(`Cannot listen on ${shown}:${port}: ${refusalOf(cause)}`, { cause });
      });
      if (!isLoopback(hostname) && apiKeys.length === 0) {
        terminal.note(`warning: everybody who reaches ${hostname} can use this server; set --api-key-file`);
      }
      terminal.note(`listening on http://${shown}:${server.port} for ${ids.join(", ")}`);
      await new Promise<void>((resolve) => {
        if (stopping.aborted) resolve();
        else stopping.addEventListener("abort", () => resolve(), { once: true });
      });
      terminal.note("stopping: no new requests, those that run may end");
      await server.close(1000 * (values.drain ?? 30));
    } finally {
      for (const model of models.values()) model.dispose();
    }
  },
});

/**
 * Refuses to start what could not answer every request, before a model is loaded.
 *
 * @throws {UsageError} If a permission is missing.
 */
async function requirePermissions(hostname: string, port: number): Promise<void> {
  const requireNet = async (name: string) => {
    const host = `${bracketed(name)}:${port}`;
    if ((await Deno.permissions.request({ name: "net", host })).state === "granted") return;
    throw new UsageError(`Cannot listen on ${host} without permission: run Deno with --allow-net=${host}`);
  };
  await requireNet(hostname);
  // Deno asks for the name and again for what it stands for.
  if (hostname === "localhost") await requireNet("127.0.0.1");
  const root = new URL("../../", import.meta.url);
  if (root.protocol !== "file:") return;
  for (const file of WORKER_CODE) {
    if ((await Deno.permissions.request({ name: "read", path: new URL(file, root) })).state === "granted") continue;
    throw new UsageError(
      `Cannot answer chats and follow grammars without permission to read Skein's ${file}: ` +
        "run Deno with --allow-read=MODEL,src,wasm",
    );
  }
}

/** A host as addresses have it. */
function bracketed(hostname: string): string {
  return hostname.includes(":") ? `[${hostname}]` : hostname;
}

/** Why the system lets nobody listen on an address. */
function refusalOf({ code, message }: Error & { readonly code?: string }): string {
  if (code === "EADDRINUSE") return "the port is taken; name another with --port";
  if (code === "EACCES") return "the system denies the port; name one over 1023 with --port";
  if (code === "EADDRNOTAVAIL" || code === "EINVAL") {
    return "this machine has no such address; name another with --host";
  }
  if (code === "ENOTFOUND") return "no address has this name; name another with --host";
  return message;
}

/** What a model is called in the API: a hub id as it is, else the name of the folder or file. */
function modelId(source: string): string {
  const name = source.replace(/[\\/]+$/, "");
  if (/^[\w-][\w.-]*\/[\w.-]+$/.test(name) && !name.endsWith(".gguf")) {
    try {
      Deno.statSync(name);
    } catch {
      return name;
    }
  }
  return name.split(/[\\/]/).at(-1)!.replace(/\.gguf$/, "");
}

async function keysOf(file: string | undefined): Promise<string[]> {
  if (file === undefined) return [];
  const keys = (await readTextFile("--api-key-file", file)).split("\n").map((line) => line.trim()).filter(Boolean);
  if (keys.length === 0) throw new UsageError(`Cannot use --api-key-file ${JSON.stringify(file)}: it holds no key`);
  return keys;
}

/** Aborts on an interrupt and on SIGTERM. */
function stopSignal(interrupt: AbortSignal): AbortSignal {
  // Windows has no such signal.
  if (Deno.build.os === "windows") return interrupt;
  const terminated = new AbortController();
  const onTerminate = () => {
    Deno.removeSignalListener("SIGTERM", onTerminate);
    terminated.abort(new DOMException("Terminated", "AbortError"));
  };
  Deno.addSignalListener("SIGTERM", onTerminate);
  return AbortSignal.any([interrupt, terminated.signal]);
}
