import { assertEquals, assertRejects } from "@std/assert";
import { call, END, READY, untilReady } from "../../src/worker/call.ts";

const failure = (reason: string) => new RangeError(`It fails: ${reason}`);

function workerOf(code: string): Worker {
  return new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })), { type: "module" });
}

const ECHO = `
  onmessage = ({ data }) => {
    if (data === ${JSON.stringify(END)}) return close();
    if (data === "throw") throw new Error("out of order");
    if (data !== "sleep") postMessage([data]);
  };
  postMessage(${JSON.stringify(READY)});
`;

Deno.test("a worker is ready, answers, and ends", async () => {
  const worker = workerOf(ECHO);
  await untilReady(worker, { failure });
  assertEquals(await call(worker, 1, { timeoutMs: 5000, failure }), [1]);
  assertEquals(await call(worker, 2, { timeoutMs: 5000, failure }), [2]);
  worker.postMessage(END);
});

Deno.test("time in which this thread stands still is not held against a worker", async () => {
  const worker = workerOf(ECHO);
  await untilReady(worker, { failure });
  const answer = call(worker, 1, { timeoutMs: 100, failure });
  const until = performance.now() + 300;
  while (performance.now() < until);
  assertEquals(await answer, [1]);
  worker.postMessage(END);
});

Deno.test("a worker that takes too long, fails or is not waited for any more is told apart", async () => {
  const worker = workerOf(ECHO);
  await untilReady(worker, { failure });
  await assertRejects(() => call(worker, "sleep", { timeoutMs: 20, failure }), RangeError, "it takes over 20 ms");
  const stop = new AbortController();
  const waiting = call(worker, "sleep", { timeoutMs: 60_000, failure, signal: stop.signal });
  stop.abort(new TypeError("enough"));
  await assertRejects(() => waiting, TypeError, "enough");
  await assertRejects(() => call(worker, 1, { timeoutMs: 1, failure, signal: stop.signal }), TypeError, "enough");
  await assertRejects(() => call(worker, "throw", { timeoutMs: 5000, failure }), RangeError, "out of order");
  worker.terminate();
});
