import { assertEquals } from "@std/assert";
import { SharedReadback } from "../../src/model/shared_readback.ts";

/** A readback of 8 bytes, with what was done to it. */
function fakeReadback() {
  const log: string[] = [];
  const readback = {
    fetch: () => {
      log.push("fetch");
      return Promise.resolve(Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7));
    },
    discard: () => void log.push("discard"),
  };
  return { readback, log };
}

Deno.test("readers of one submit's bytes share one fetch, which begins within the first one's call", async () => {
  const { readback, log } = fakeReadback();
  const shared = new SharedReadback(readback, 2, () => undefined, () => log.push("done"));
  const [one, two] = [shared.part(0, 4), shared.part(4, 8)];
  const first = one.fetch();
  assertEquals(log, ["fetch"]);
  assertEquals([[...await first], [...await two.fetch()]], [[0, 1, 2, 3], [4, 5, 6, 7]]);
  assertEquals(log, ["fetch", "done"]);
});

Deno.test("a pause is over before bytes are asked for, and the GPU is taken to be done when they are", async () => {
  const { readback, log } = fakeReadback();
  const pause = Promise.withResolvers<void>();
  const shared = new SharedReadback(readback, 1, () => pause.promise, () => log.push("done"));
  const bytes = shared.part(2, 4).fetch();
  await Promise.resolve();
  assertEquals(log, []);
  pause.resolve();
  assertEquals([...await bytes], [2, 3]);
  assertEquals(log, ["fetch", "done"]);
});

Deno.test("bytes that no reader wants are discarded, once", () => {
  const { readback, log } = fakeReadback();
  const shared = new SharedReadback(readback, 2, () => undefined, () => log.push("done"));
  const parts = [shared.part(0, 4), shared.part(4, 8)];
  parts[0]!.discard();
  parts[0]!.discard();
  assertEquals(log, []);
  parts[1]!.discard();
  assertEquals(log, ["discard"]);
});
