import { assertEquals } from "@std/assert";
import { linesOf } from "../../src/cli/lines.ts";

Deno.test("linesOf() gives lines whole, however they arrive", async () => {
  const bytes = new TextEncoder().encode("one\r\ntw\u00f6\n\nlast");
  for (const size of [1, 3, 100]) {
    const pieces = Array.from(
      { length: Math.ceil(bytes.length / size) },
      (_, i) => bytes.slice(i * size, (i + 1) * size),
    );
    const lines = await Array.fromAsync(linesOf(ReadableStream.from(pieces), () => new AbortController().signal));
    assertEquals(lines, ["one", "tw\u00f6", "", "last"]);
  }
});

Deno.test("linesOf() ends when the signal in force while it waits aborts", async () => {
  const signals: AbortController[] = [];
  const next = () => {
    signals.push(new AbortController());
    return signals.at(-1)!.signal;
  };
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start: (controller) => controller.enqueue(new TextEncoder().encode("one\n")),
  });
  const lines = linesOf(stream, next);
  assertEquals(await lines.next(), { done: false, value: "one" });
  const waiting = lines.next();
  await new Promise((resolve) => setTimeout(resolve, 1));
  signals.at(-1)!.abort();
  assertEquals((await waiting).done, true);
});
