/**
 * What the hub says about a model: its commit, its files, and why it gives something or not. Runs in browsers too.
 *
 * @module
 */
import { DownloadError } from "../errors.ts";
import { HttpStatusError, send } from "../checkpoint/byte_range.ts";
import { type RetryPolicy, withRetries } from "../checkpoint/retry.ts";
import { formatModelId, isCommit, isSafePath, type ModelId } from "./model_id.ts";

/** Where the hub is, and who asks. */
export interface Hub {
  /** Address without a slash at its end. */
  readonly endpoint: string;
  /** Token of an account; undefined where there is none. */
  readonly token: string | undefined;
  /** How long to go on when the network fails. */
  readonly retry: RetryPolicy;
}

/** The public hub. */
export const PUBLIC_ENDPOINT = "https://huggingface.co";

/** One file of a model. */
export interface HubFile {
  /** Path in the repository; safe to use below a folder. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** What its content has to hash to: SHA-256 of it for a large file, git's blob id, a SHA-1, for a small one. */
  readonly hash: { readonly algorithm: "sha256" | "git-sha1"; readonly hex: string };
}

/** A model at one commit. */
export interface HubRevision {
  /** The commit that the revision stands for. */
  readonly commit: string;
  /** Its files. */
  readonly files: readonly HubFile[];
}

/** Largest answer that is read, in bytes: a repository of ten thousand files has 3 MB. */
const LARGEST_ANSWER = 2 ** 25;

/** A hub whose name has no address is out of reach; in the middle of a download it is worth a longer wait. */
const UNRESOLVED_ATTEMPTS = 3;

/** Headers of every request to the hub itself. */
export function hubHeaders({ endpoint, token }: Hub): Record<string, string> {
  if (token === undefined) return {};
  const { protocol, hostname } = new URL(endpoint);
  if (protocol !== "https:" && !/^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)) {
    throw new DownloadError(
      "Unauthorized",
      `Cannot send the token to ${endpoint}: it has no encryption; unset HF_TOKEN or use an https address`,
    );
  }
  return { authorization: `Bearer ${token}` };
}

/** Address of a file, or of the folder of all files where `path` is empty. */
export function fileUrl({ endpoint }: Hub, { repository }: ModelId, commit: string, path: string): string {
  return `${endpoint}/${repository}/resolve/${commit}/${path.split("/").map(encodeURIComponent).join("/")}`;
}

/**
 * Asks for a model's commit and files.
 *
 * @throws {DownloadError} If there is no such model or revision, it may not be read, or the hub cannot be reached.
 */
export async function fetchRevision(hub: Hub, id: ModelId, signal?: AbortSignal): Promise<HubRevision> {
  const url = `${hub.endpoint}/api/models/${id.repository}/revision/${encodeURIComponent(id.revision)}?blobs=true`;
  const text = await withRetries(
    async () => {
      const headers = { ...hubHeaders(hub), "accept": "application/json" };
      const { body } = await send(url, { headers, signal }, hub.retry).catch((error) => {
        throw explain(error, hub, id);
      });
      const pieces: Uint8Array<ArrayBuffer>[] = [];
      let size = 0;
      for await (const piece of body) {
        size += piece.length;
        if (size > LARGEST_ANSWER) {
          throw new DownloadError(
            "Protocol",
            `Cannot use the answer of ${hub.endpoint}: it is over ${LARGEST_ANSWER} bytes`,
          );
        }
        pieces.push(piece.slice());
      }
      return await new Blob(pieces).text();
    },
    `ask ${hub.endpoint} for ${formatModelId(id)}`,
    { ...hub.retry, unresolvedAttempts: Math.min(hub.retry.attempts, UNRESOLVED_ATTEMPTS) },
    signal,
  );
  return readRevision(text, hub, id);
}

/** Everything in the answer is checked: names become paths, and sizes are what downloads are measured by. */
function readRevision(text: string, hub: Hub, id: ModelId): HubRevision {
  const refuse = (why: string): never => {
    throw new DownloadError("Protocol", `Cannot use what ${hub.endpoint} says about ${id.repository}: ${why}`);
  };
  let answer: { sha?: unknown; siblings?: unknown } | null = null;
  try {
    answer = JSON.parse(text);
  } catch (error) {
    refuse(`it is no JSON: ${(error as Error).message}`);
  }
  const { sha: commit, siblings } = answer ?? {};
  if (typeof commit !== "string" || !isCommit(commit)) return refuse(`its commit is ${JSON.stringify(commit)}`);
  if (!Array.isArray(siblings)) return refuse("it lists no files");
  const files = siblings.map((entry): HubFile => {
    const { rfilename: path, size, blobId, lfs } = entry ?? {};
    if (typeof path !== "string" || !isSafePath(path)) return refuse(`a file's name is ${JSON.stringify(path)}`);
    if (!Number.isSafeInteger(size) || size < 0) return refuse(`the size of ${path} is ${JSON.stringify(size)}`);
    const isLarge = typeof lfs === "object" && lfs !== null;
    const hash = isLarge
      ? { algorithm: "sha256" as const, hex: lfs.sha256 ?? lfs.oid }
      : { algorithm: "git-sha1" as const, hex: blobId };
    if (typeof hash.hex !== "string" || !(isLarge ? /^[0-9a-f]{64}$/ : /^[0-9a-f]{40}$/).test(hash.hex)) {
      return refuse(`the hash of ${path} is ${JSON.stringify(hash.hex)}`);
    }
    return { path, size, hash };
  });
  return { commit, files };
}

/** The hub's refusals in words: it tells by headers what a status alone does not. */
export function explain(error: unknown, hub: Hub, id: ModelId): unknown {
  if (!(error instanceof HttpStatusError)) return error;
  const { status, headers } = error;
  const name = formatModelId(id);
  const page = `${hub.endpoint}/${id.repository}`;
  const code = headers.get("x-error-code");
  const refused = (failure: "Gated" | "Unauthorized" | "NotFound", message: string) =>
    new DownloadError(failure, `Cannot download ${name}: ${message}`, { status, cause: error });
  const token = `set HF_TOKEN to a token of ${hub.token === undefined ? "your" : "that"} account`;
  if (code === "GatedRepo") {
    return refused(
      "Gated",
      hub.token === undefined
        ? `its owner asks everyone to agree to terms first; log in at ${page}, agree, and ${token}`
        : `the account of your HF_TOKEN has no access yet; agree to the terms at ${page}, or wait for the owner's answer`,
    );
  }
  if (code === "RevisionNotFound") return refused("NotFound", `${page} has no revision ${id.revision}`);
  if (code === "EntryNotFound") return refused("NotFound", `${page} has no such file at ${id.revision}`);
  if (status === 401 && hub.token !== undefined && code !== "RepoNotFound") {
    return refused("Unauthorized", `${hub.endpoint} does not accept your HF_TOKEN`);
  }
  // The hub tells no stranger which private models there are.
  if (status === 401 || status === 404 || code === "RepoNotFound") {
    const remedy = hub.token === undefined ? `where it is private, ${token}` : "or your HF_TOKEN may not read it";
    return refused("NotFound", `there is no model ${id.repository} at ${hub.endpoint}; ${remedy}`);
  }
  if (status === 403) return refused("Unauthorized", `${hub.endpoint} denies access to it; see ${page}`);
  return error;
}
