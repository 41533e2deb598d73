/**
 * Asking a worker, with a limit on the time that it may take. It answers each request with one message.
 *
 * @module
 */

/** Asks a worker to end, which is gentler than to terminate it: that may pull memory from under the GPU's driver. */
export const END = "end";

/** What a worker says first, when it can be asked. */
export const READY = "ready";

/** Most milliseconds that a worker may take to start: it is our own code, on a machine that may be busy. */
export const START_MS = 60_000;

/**
 * Parts that a limit on time is waited for in. Where this thread stands still meanwhile, as it does while a GPU computes,
 * or the machine sleeps, only one part of the limit passes, and the answer is heard before the others do.
 */
const PARTS = 20;

/** How a worker is asked. */
export interface Call {
  /** Most milliseconds until its answer. */
  readonly timeoutMs: number;
  /** The error to throw, for what went wrong. */
  readonly failure: (reason: string) => Error;
  /** Ends the wait. */
  readonly signal?: AbortSignal;
}

/**
 * Waits for a worker that was just made.
 *
 * @throws What `failure` makes, if it does not start; the signal's reason.
 */
export async function untilReady(worker: Worker, how: Omit<Call, "timeoutMs">): Promise<void> {
  await messageOf(worker, () => {}, { ...how, timeoutMs: START_MS });
}

/**
 * Asks a worker that is ready and has no other request.
 *
 * @returns Its answer.
 * @throws What `failure` makes, if the worker fails or takes too long; the signal's reason. The worker is of no more use
 * then, and should be terminated.
 */
export async function call<T>(worker: Worker, request: unknown, how: Call): Promise<T> {
  return await messageOf(worker, () => worker.postMessage(request), how);
}

async function messageOf<T>(worker: Worker, ask: () => void, { timeoutMs, failure, signal }: Call): Promise<T> {
  signal?.throwIfAborted();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let onAbort = () => {};
  try {
    return await new Promise<T>((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<T>) => resolve(data);
      worker.onerror = (event) => {
        event.preventDefault();
        // A script that cannot be loaded has no message; lines after the first say where in it.
        reject(failure(event.message?.split("\n", 1)[0] || "its script cannot be run here"));
      };
      let left = PARTS;
      const wait = () => {
        if (left-- === 0) reject(failure(`it takes over ${timeoutMs} ms`));
        else timer = setTimeout(wait, timeoutMs / PARTS);
      };
      wait();
      onAbort = () => reject(signal!.reason);
      signal?.addEventListener("abort", onAbort);
      ask();
    });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}
