/**
 * Tries again what a network may do better the next time, a bounded number of times.
 *
 * @module
 */
import { DownloadError } from "../errors.ts";

/** How long to go on. */
export interface RetryPolicy {
  /** Most tries in a row without progress. */
  readonly attempts: number;
  /** Wait before the second try, in ms; it doubles with each further one, and a part of it is random. */
  readonly firstDelayMs: number;
  /** An answer that brings nothing for this long is given up, in ms. */
  readonly stallMs: number;
  /** The same as `attempts` where the server's name has no address. Default: `attempts`. */
  readonly unresolvedAttempts?: number;
}

/** For downloads: half a minute of trouble is sat out. */
export const PATIENT: RetryPolicy = { attempts: 7, firstDelayMs: 500, stallMs: 30_000 };

/** Longest wait between two tries, whatever the server asks for. */
const LONGEST_DELAY_MS = 60_000;

/** Thrown for what may work the next time. */
export class TransientError extends Error {
  /** The class name, for code that cannot use `instanceof`. */
  override readonly name: string = "TransientError";
  /** Wait that the server asks for, in ms. */
  readonly retryAfterMs: number;
  /** HTTP status, if there was an answer. */
  readonly status: number | undefined;
  /** Whether the server's name has no address. */
  readonly isUnresolved: boolean;

  /** Makes the error from a reason in a few words. */
  constructor(
    reason: string,
    { retryAfterMs = 0, status, isUnresolved = false, cause }: {
      retryAfterMs?: number;
      status?: number;
      isUnresolved?: boolean;
      cause?: unknown;
    } = {},
  ) {
    super(reason, { cause });
    this.retryAfterMs = retryAfterMs;
    this.status = status;
    this.isUnresolved = isUnresolved;
  }
}

/**
 * Runs an action until it returns.
 *
 * @param action Gets a function to call when it has come further than before: it may then fail as often again.
 * @param what What is being done, for the error: "download x".
 * @throws {DownloadError} If it keeps failing, with the last reason.
 * @throws The signal's reason if it aborts, and at once whatever else the action throws.
 */
export async function withRetries<T>(
  action: (progressed: () => void) => Promise<T>,
  what: string,
  policy: RetryPolicy,
  signal?: AbortSignal,
): Promise<T> {
  for (let failures = 0;;) {
    signal?.throwIfAborted();
    try {
      return await action(() => failures = 0);
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof TransientError)) throw error;
      if (++failures >= (error.isUnresolved && policy.unresolvedAttempts || policy.attempts)) {
        throw new DownloadError("Network", `Cannot ${what}: ${error.message} (${failures} tries)`, {
          cause: error,
          status: error.status,
        });
      }
      const own = policy.firstDelayMs * 2 ** (failures - 1) * (0.75 + Math.random() / 2);
      await pause(Math.min(LONGEST_DELAY_MS, Math.max(own, error.retryAfterMs)), signal);
    }
  }
}

/** Waits, unless the signal aborts. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort, { once: true });
  });
}
