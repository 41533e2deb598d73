import { assert, assertEquals, assertRejects } from "@std/assert";
import { pause, TransientError, withRetries } from "../../src/checkpoint/retry.ts";
import { DownloadError } from "../../src/errors.ts";

const POLICY = { attempts: 3, firstDelayMs: 1, stallMs: 1000 };

Deno.test("withRetries() tries until it works, and counts failures only since the last progress", async () => {
  let tries = 0;
  const result = await withRetries(
    (progressed) => {
      if (++tries % 2 === 0) progressed();
      return tries < 8 ? Promise.reject(new TransientError("busy")) : Promise.resolve("done");
    },
    "test",
    POLICY,
  );
  assertEquals([result, tries], ["done", 8]);
});

Deno.test("withRetries() gives up with the last reason", async () => {
  let tries = 0;
  const error = await assertRejects(
    () => withRetries(() => Promise.reject(new TransientError(`busy ${++tries}`, { status: 503 })), "do it", POLICY),
    DownloadError,
    "Cannot do it: busy 3 (3 tries)",
  );
  assertEquals([error.code, error.status], ["Network", 503]);
});

Deno.test("withRetries() gives up sooner where a name has no address", async () => {
  let tries = 0;
  const action = () => Promise.reject(new TransientError(`none ${++tries}`, { isUnresolved: true }));
  await assertRejects(
    () => withRetries(action, "do it", { ...POLICY, unresolvedAttempts: 2 }),
    DownloadError,
    "none 2 (2 tries)",
  );
});

Deno.test("withRetries() passes other errors on at once", async () => {
  let tries = 0;
  await assertRejects(
    () => withRetries(() => Promise.reject(new RangeError(`no ${++tries}`)), "x", POLICY),
    RangeError,
    "no 1",
  );
});

Deno.test("withRetries() waits as long as it is asked to, and an abort ends the wait", async () => {
  const stop = new AbortController();
  const waits = withRetries(
    () => Promise.reject(new TransientError("busy", { retryAfterMs: 30_000 })),
    "x",
    POLICY,
    stop.signal,
  );
  const began = performance.now();
  setTimeout(() => stop.abort(new Error("enough")), 20);
  await assertRejects(() => waits, Error, "enough");
  assert(performance.now() - began < 10_000);
});

Deno.test("pause() refuses a signal that has aborted", async () => {
  await assertRejects(() => pause(1, AbortSignal.abort(new Error("gone"))), Error, "gone");
  await pause(1, new AbortController().signal);
});
