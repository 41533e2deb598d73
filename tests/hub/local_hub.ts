/**
 * A hub and its content network on this machine, with the faults of real ones.
 *
 * @module
 */
import { createHash } from "node:crypto";

/** What goes wrong. Each is asked for by a request's path and its number, from 0. */
export interface HubFaults {
  /** Token that the hub demands for contents; the account of another one has no access. */
  readonly token?: string;
  /** Large contents are answered by a redirect to another origin. */
  readonly redirects?: boolean;
  /** The server sends the whole file whatever range is asked for. */
  readonly ignoresRange?: boolean;
  /** Bytes after which a connection breaks; undefined where it does not. */
  readonly dropAfter?: (request: ContentRequest) => number | undefined;
  /** An answer of its own in place of a content. */
  readonly answer?: (request: ContentRequest) => Response | undefined;
  /** Bytes in place of a content's own. */
  readonly content?: (request: ContentRequest, own: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>;
  /** Changes the headers of an answer with content. */
  readonly headers?: (request: ContentRequest, headers: Headers) => void;
  /** Wait before each piece of a content, in ms. */
  readonly pieceMs?: number;
  /** What the hub says about a model, changed. */
  readonly listing?: (listing: Listing) => unknown;
}

/** One request for a content. */
export interface ContentRequest {
  /** Path of the file. */
  readonly path: string;
  /** Number of the request among those for content. */
  readonly count: number;
  /** The range, in full. */
  readonly begin: number;
  /** First byte after it. */
  readonly end: number;
}

/** What the hub says about a model. */
export interface Listing {
  sha: string;
  siblings: { rfilename: string; size: number; blobId: string; lfs?: { sha256: string; size: number } }[];
}

/** A hub that runs. */
export interface LocalHub {
  /** Its address. */
  readonly endpoint: string;
  /** The commit of branch "main". */
  readonly commit: string;
  /** Contents by path. */
  readonly files: Map<string, Uint8Array<ArrayBuffer>>;
  /** Every request so far: "hub GET /path bytes=0-9" or "cdn ...". */
  readonly log: string[];
  /** Authorization headers that reached the content network. */
  readonly leaks: string[];
  /** What goes wrong from now on. */
  faults: HubFaults;
  /** Commits that come after `commit`: the next one is what "main" stands for. */
  newCommit(commit: string): void;
  /** Ends it; a second time does nothing. */
  close(): Promise<void>;
}

const REPOSITORY = "org/tiny";

/** Files of this size and above are kept as large ones are: by SHA-256, behind a redirect. */
const LARGE = 10_000;

/** Size of the pieces that contents are sent in. */
const PIECE = 16_384;

/** Hashes that the hub lists for a content. */
export function hashesOf(bytes: Uint8Array): { sha256: string; blobId: string } {
  return {
    sha256: createHash("sha256").update(bytes).digest("hex"),
    blobId: createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex"),
  };
}

/** Starts a hub with one model, "org/tiny". */
export function startHub(files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>, faults: HubFaults = {}): LocalHub {
  let commit = "a".repeat(40);
  let count = 0;
  let closing: Promise<void> | undefined;
  const contents = new Map(files);
  const log: string[] = [];
  const leaks: string[] = [];
  const note = (server: string, request: Request) => {
    const { pathname } = new URL(request.url);
    log.push(`${server} ${request.method} ${pathname} ${request.headers.get("range") ?? ""}`.trimEnd());
  };

  const listing = (): Listing => ({
    sha: commit,
    siblings: [...contents].map(([rfilename, bytes]) => {
      const { sha256, blobId } = hashesOf(bytes);
      const size = bytes.length;
      return { rfilename, size, blobId, ...(size < LARGE ? {} : { lfs: { sha256, size } }) };
    }),
  });

  const content = (request: Request, path: string): Response => {
    const own = contents.get(path)!;
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("range") ?? "") ?? [];
    const isRange = from !== undefined && hub.faults.ignoresRange !== true;
    const begin = isRange ? Number(from) : 0;
    const end = isRange ? Math.min(own.length, Number(to) + 1) : own.length;
    const asked: ContentRequest = { path, count: count++, begin, end };
    const answer = hub.faults.answer?.(asked);
    if (answer !== undefined) return answer;
    const bytes = (hub.faults.content?.(asked, own) ?? own).subarray(begin, end);
    const drop = hub.faults.dropAfter?.(asked);
    const headers = new Headers({ "etag": `"${hashesOf(own).blobId}"`, "content-length": String(end - begin) });
    if (isRange) headers.set("content-range", `bytes ${begin}-${end - 1}/${own.length}`);
    hub.faults.headers?.(asked, headers);
    const isWhole = drop === undefined && hub.faults.pieceMs === undefined;
    return new Response(isWhole ? bytes : dripping(bytes, drop ?? bytes.length, hub.faults.pieceMs), {
      status: isRange ? 206 : 200,
      headers,
    });
  };

  const cdn = serve((request) => {
    note("cdn", request);
    const authorization = request.headers.get("authorization");
    if (authorization !== null) leaks.push(authorization);
    return content(request, decodeURIComponent(new URL(request.url).pathname.slice(1)));
  });

  const server = serve((request) => {
    note("hub", request);
    const { pathname } = new URL(request.url);
    const refuse = (status: number, code: string) =>
      new Response("refused", { status, headers: { "x-error-code": code, "x-error-message": "refused" } });
    const [, repository, revision] = /^\/api\/models\/([^/]+\/[^/]+)\/revision\/(.+)$/.exec(pathname) ?? [];
    if (repository !== undefined) {
      if (repository !== REPOSITORY) return refuse(401, "RepoNotFound");
      if (revision !== "main" && revision !== commit && revision !== "refs%2Fpr%2F1") {
        return refuse(404, "RevisionNotFound");
      }
      return Response.json(hub.faults.listing?.(listing()) ?? listing());
    }
    const [, resolved, path] = /^\/org\/tiny\/resolve\/([^/]+)\/(.+)$/.exec(pathname) ?? [];
    if (path === undefined) return new Response("no such page", { status: 404 });
    const { token } = hub.faults;
    const sent = request.headers.get("authorization");
    if (token !== undefined && sent !== `Bearer ${token}`) return refuse(sent === null ? 401 : 403, "GatedRepo");
    if (resolved !== "main" && resolved !== commit) return refuse(404, "RevisionNotFound");
    const name = decodeURIComponent(path);
    const bytes = contents.get(name);
    if (bytes === undefined) return refuse(404, "EntryNotFound");
    if (hub.faults.redirects !== true || bytes.length < LARGE) return content(request, name);
    return new Response(null, { status: 302, headers: { location: `${cdn.address}/${path}?signature=secret` } });
  });

  const hub: LocalHub = {
    endpoint: server.address,
    get commit() {
      return commit;
    },
    files: contents,
    log,
    leaks,
    faults,
    newCommit: (next) => void (commit = next),
    close: () => closing ??= Promise.all([server.close(), cdn.close()]).then(() => {}),
  };
  return hub;
}

function serve(handler: (request: Request) => Response): { address: string; close(): Promise<void> } {
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen: () => {},
    onError: () => new Response("broken", { status: 500 }),
  }, handler);
  return {
    address: `http://127.0.0.1:${server.addr.port}`,
    close: () => server.shutdown(),
  };
}

/** A body that comes in pieces and may break off. */
function dripping(bytes: Uint8Array<ArrayBuffer>, drop: number, pieceMs: number = 0): ReadableStream<Uint8Array> {
  let sent = 0;
  return new ReadableStream({
    async pull(controller) {
      if (pieceMs > 0) await new Promise((resolve) => setTimeout(resolve, pieceMs));
      if (sent >= drop && drop < bytes.length) return controller.error(new Error("dropped"));
      const piece = bytes.subarray(sent, Math.min(sent + PIECE, drop, bytes.length));
      sent += piece.length;
      if (piece.length > 0) controller.enqueue(piece);
      if (sent === bytes.length) controller.close();
    },
  });
}

/** Bytes that look random and are the same every time. */
export function contentOf(length: number, seed: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let i = 0, state = seed >>> 0; i < words.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    words[i] = state ^ (state >>> 15);
  }
  return new Uint8Array(words.buffer).subarray(0, length);
}

/** A model's files: small ones, and two shards of weights that no tensor is read from. */
export function tinyFiles(shardBytes: number = 300_000): Map<string, Uint8Array<ArrayBuffer>> {
  const text = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  const shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
  return new Map<string, Uint8Array<ArrayBuffer>>([
    ["config.json", text({ architectures: ["LlamaForCausalLM"], hidden_size: 64 })],
    ["tokenizer.json", contentOf(20_000, 1)],
    ["tokenizer_config.json", text({})],
    ["README.md", contentOf(500, 2)],
    ["pytorch_model.bin", contentOf(50_000, 3)],
    ["onnx/model.onnx", contentOf(50_000, 4)],
    ["model.safetensors.index.json", text({ metadata: {}, weight_map: { a: shards[0], b: shards[1] } })],
    [shards[0]!, contentOf(shardBytes, 5)],
    [shards[1]!, contentOf(shardBytes / 2, 6)],
  ]);
}
