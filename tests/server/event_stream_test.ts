import { assertEquals, assertRejects } from "@std/assert";
import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import { EventStream } from "../../src/server/event_stream.ts";

/** A response whose reader takes so many writes before it must catch up. */
class Reader extends EventEmitter {
  headersSent = false;
  writableEnded = false;
  writableNeedDrain = false;
  destroyed = false;
  status = 0;
  text = "";
  #room: number;

  constructor(room: number) {
    super();
    this.#room = room;
  }

  writeHead(status: number): void {
    this.status = status;
    this.headersSent = true;
  }

  write(text: string): boolean {
    this.text += text;
    return --this.#room > 0;
  }

  end(): void {
    this.writableEnded = true;
  }

  destroy(): void {
    this.destroyed = true;
  }
}

function open(room: number, writeTimeoutMs: number) {
  const reader = new Reader(room);
  const leaving = new AbortController();
  const response = reader as unknown as ServerResponse;
  const events = new EventStream(response, leaving.signal, writeTimeoutMs, (reason) => leaving.abort(reason));
  return { reader, leaving, events };
}

Deno.test("EventStream begins with its first event, and ends only what has begun", async () => {
  const unused = open(9, 100);
  unused.events.end();
  assertEquals([unused.reader.headersSent, unused.reader.writableEnded], [false, false]);
  const { reader, events } = open(9, 100);
  await events.send({ a: 1 });
  await events.send("[DONE]");
  events.end();
  assertEquals([reader.status, reader.text, reader.writableEnded], [200, 'data: {"a":1}\n\ndata: [DONE]\n\n', true]);
});

Deno.test("EventStream waits for a reader who catches up", async () => {
  const { reader, events } = open(1, 5000);
  let isSent = false;
  const sending = events.send(1).then(() => isSent = true);
  await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals(isSent, false);
  reader.emit("drain");
  await sending;
  events.end();
});

Deno.test("EventStream cuts off a reader who does not read, and stops the work for one who leaves", async () => {
  const slow = open(1, 20);
  await assertRejects(() => slow.events.send(1), DOMException, "reads too slowly");
  assertEquals([slow.reader.destroyed, slow.leaving.signal.aborted], [true, true]);
  await assertRejects(() => slow.events.send(2), DOMException, "reads too slowly");
  const gone = open(1, 5000);
  const sending = gone.events.send(1);
  gone.leaving.abort(new Error("gone"));
  await assertRejects(() => sending, Error, "gone");
});
