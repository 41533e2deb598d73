import { assertEquals, assertRejects } from "@std/assert";
import { ApiError } from "../../src/server/api_error.ts";
import { Gate } from "../../src/server/gate.ts";

const never = new AbortController().signal;

Deno.test("Gate lets as many in as fit, in order, and refuses more than may wait", async () => {
  const gate = new Gate(2, 2);
  const order: number[] = [];
  const leave = [await gate.enter(1, never), await gate.enter(1, never)];
  const waiting = [1, 2].map((id) => gate.enter(1, never).then((free) => (order.push(id), free)));
  assertEquals([gate.running, gate.waiting], [2, 2]);
  const error = await assertRejects(() => gate.enter(1, never), ApiError, "2 requests wait");
  assertEquals([error.status, error.fields.headers?.["retry-after"]], [503, "1"]);
  leave[0]!();
  leave[0]!();
  (await waiting[0]!)();
  leave[1]!();
  (await waiting[1]!)();
  assertEquals([order, gate.running, gate.waiting], [[1, 2], 0, 0]);
});

Deno.test("Gate keeps a wide request's place before a narrow one's", async () => {
  const gate = new Gate(3, 9);
  const first = await gate.enter(2, never);
  const order: string[] = [];
  const wide = gate.enter(3, never).then((leave) => (order.push("wide"), leave));
  const narrow = gate.enter(1, never).then((leave) => (order.push("narrow"), leave));
  first();
  (await wide)();
  (await narrow)();
  assertEquals(order, ["wide", "narrow"]);
});

Deno.test("Gate forgets who leaves the queue, and lets the next one in", async () => {
  const gate = new Gate(2, 9);
  const first = await gate.enter(1, never);
  const giving = new AbortController();
  const wide = gate.enter(2, giving.signal);
  const narrow = gate.enter(1, never);
  giving.abort(new Error("gone"));
  await assertRejects(() => wide, Error, "gone");
  (await narrow)();
  first();
  assertEquals([gate.running, gate.waiting], [0, 0]);
  await assertRejects(() => gate.enter(1, giving.signal), Error, "gone");
});
