/**
 * One HTTP request for a range of a file, with every header of the answer checked that says which bytes these are.
 * Runs in browsers too.
 *
 * @module
 */
import { DownloadError } from "../errors.ts";
import { type RetryPolicy, TransientError } from "./retry.ts";

/** What to ask for. */
export interface RangeRequest {
  /** Where. */
  readonly url: string;
  /** First byte. */
  readonly begin: number;
  /** First byte after the range. */
  readonly end: number;
  /** Further headers; those of authorization do not follow a redirect to another origin. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Stops the request and the reading of its body. */
  readonly signal?: AbortSignal | undefined;
}

/** An answer, whose body has not been read. */
export interface RangeAnswer {
  /** Byte of the file that the body begins with: `begin`, or 0 where the server ignores ranges. */
  readonly begin: number;
  /** First byte after the body; undefined where the server does not say. */
  readonly end: number | undefined;
  /** True where the server ignored the range and sends the whole file. */
  readonly isWhole: boolean;
  /** Bytes of the whole file; undefined where the server does not say. */
  readonly total: number | undefined;
  /** What tells this state of the file from another: its ETag, or else its time of change. */
  readonly validator: string | undefined;
  /** Where the answer came from, after redirects. */
  readonly url: string;
  /** The body, piece by piece. Ending the iteration ends the request. */
  readonly body: AsyncGenerator<Uint8Array>;
  /** Ends the request where the body is not iterated. */
  close(): Promise<void>;
}

/** An address without what may be secret: signatures of a content network, passwords. */
export function publicUrl(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}

/**
 * Sends one request and waits for its headers.
 *
 * @throws {TransientError} If there is no connection, no answer in time, or one that asks to come back later.
 * @throws {DownloadError} If the answer is final, and is not the range.
 */
export async function openRange(request: RangeRequest, policy: RetryPolicy): Promise<RangeAnswer> {
  const { url, begin, end, headers = {} } = request;
  const { response, body, close } = await send(url, {
    // Ranges of compressed bytes would be ranges of something else.
    headers: { ...headers, "range": `bytes=${begin}-${end - 1}`, "accept-encoding": "identity" },
    signal: request.signal,
  }, policy);
  const shared = {
    validator: response.headers.get("etag") ?? response.headers.get("last-modified") ?? undefined,
    url: response.url || url,
    body,
    close,
  };
  const refuse = (why: string) => new TransientError(`${publicUrl(url)} ${why}`, { status: response.status });
  try {
    if (response.status === 200) {
      const length = response.headers.get("content-encoding") === null ? lengthOf(response) : undefined;
      return { ...shared, begin: 0, end: length, isWhole: true, total: length };
    }
    if (response.status !== 206) throw refuse(`answers ${response.status} to a request for a range`);
    const range = response.headers.get("content-range");
    // A browser hides the header of another origin that does not expose it.
    if (range === null && response.type === "cors") {
      return { ...shared, begin, end: undefined, isWhole: false, total: undefined };
    }
    const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(range ?? "");
    if (match === null) throw refuse(`answers with Content-Range ${JSON.stringify(range)}`);
    const answered = { begin: Number(match[1]), end: Number(match[2]) + 1 };
    const total = match[3] === "*" ? undefined : Number(match[3]);
    const isPart = answered.begin === begin && answered.end > begin && answered.end <= end &&
      answered.end <= (total ?? end);
    if (!isPart) throw refuse(`answers bytes ${match[1]}-${match[2]} of ${match[3]}, asked for ${begin}-${end - 1}`);
    return { ...shared, ...answered, isWhole: false, total };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * Sends a GET request and waits for its headers.
 *
 * @returns The answer, with a status of 2xx, and its body.
 * @throws As `openRange`. A DownloadError carries the status.
 */
export async function send(
  url: string,
  { headers, signal }: { headers: Readonly<Record<string, string>>; signal?: AbortSignal | undefined },
  { stallMs }: RetryPolicy,
): Promise<Pick<RangeAnswer, "body" | "close"> & { readonly response: Response }> {
  const stall = new AbortController();
  const stalled = new TransientError(`${publicUrl(url)} sends nothing for ${stallMs / 1000} s`);
  let timer = setTimeout(() => stall.abort(stalled), stallMs);
  const signals = signal === undefined ? stall.signal : AbortSignal.any([signal, stall.signal]);
  const failed = (cause: unknown) => {
    clearTimeout(timer);
    signal?.throwIfAborted();
    if (stall.signal.aborted) throw stalled;
    // fetch tells every failure of a connection by a TypeError; a missing permission is none.
    if (!(cause instanceof TypeError)) throw cause;
    const { host } = new URL(url);
    // Deno tells this one by its words alone, in the cause of the error or in the error itself.
    const isUnresolved = /\bdns error\b/.test(`${cause.message} ${(cause.cause as Error | undefined)?.message}`);
    const reason = isUnresolved ? "its name has no address" : cause.message.slice(0, 200);
    throw new TransientError(`the connection to ${host} fails: ${reason}`, { isUnresolved, cause });
  };
  let response: Response;
  try {
    response = await fetch(url, { headers, signal: signals, redirect: "follow" });
  } catch (cause) {
    return failed(cause);
  }
  clearTimeout(timer);
  const reader = response.body?.getReader();
  const close = async () => await reader?.cancel().catch(() => {});
  const body = (async function* () {
    try {
      while (reader !== undefined) {
        clearTimeout(timer);
        timer = setTimeout(() => stall.abort(stalled), stallMs);
        const { done, value } = await reader.read();
        // Time that the consumer takes is not the server's.
        clearTimeout(timer);
        if (done) return;
        yield value;
      }
    } catch (cause) {
      failed(cause);
    } finally {
      clearTimeout(timer);
      await close();
    }
  })();
  if (response.ok && !isDowngraded(url, response.url)) return { response, body, close };
  await close();
  const { status } = response;
  if (response.ok) {
    throw new DownloadError("Protocol", `Cannot use ${publicUrl(url)}: it redirects to an address without encryption`);
  }
  const why = `${publicUrl(url)} answers ${status}`;
  if (status === 408 || status === 429 || status >= 500) {
    throw new TransientError(why, { retryAfterMs: retryAfter(response), status });
  }
  throw new HttpStatusError(why, response);
}

/** A final answer that is no success, with its headers, for whoever knows more about the server. */
export class HttpStatusError extends DownloadError {
  /** The answer's headers. */
  readonly headers: Headers;

  /** Makes the error from an answer. */
  constructor(why: string, { status, headers }: Response) {
    const code = status === 404 || status === 410
      ? "NotFound"
      : status === 401 || status === 403
      ? "Unauthorized"
      : "Protocol";
    super(code, `Cannot download: ${why}`, { status });
    this.headers = headers;
  }
}

function isDowngraded(from: string, to: string): boolean {
  return from.startsWith("https:") && to.startsWith("http:");
}

function lengthOf(response: Response): number | undefined {
  const length = response.headers.get("content-length");
  return length !== null && /^\d+$/.test(length) ? Number(length) : undefined;
}

/** The wait that an answer asks for, in ms. */
function retryAfter(response: Response): number {
  const value = response.headers.get("retry-after");
  if (value === null) return 0;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : 0;
}
