import { assertRejects } from "@std/assert";
import { type Chunk, ChunkQueue } from "../../src/model/chunk_queue.ts";
import type { Runtime } from "../../src/model/runtime.ts";
import type { Sequence } from "../../src/model/sequence.ts";

Deno.test("a chunk that waits is refused as soon as it is stopped, and is not fed when its turn comes", async () => {
  const turns: (() => Promise<void>)[] = [];
  const exclusive = (work: () => Promise<void>) => turns.push(work);
  // Feeding would need the rest of it.
  const queue = new ChunkQueue({ scheduler: { exclusive } } as unknown as Runtime);
  const controller = new AbortController();
  const chunk: Chunk = {
    sequence: {} as Sequence,
    tokens: [1, 2, 3],
    work: { finish: () => Promise.resolve() },
    stops: controller.signal,
  };
  const waiting = queue.feed(chunk);
  controller.abort(new Error("enough"));
  await assertRejects(() => waiting, Error, "enough");
  await assertRejects(() => queue.feed(chunk), Error, "enough");
  for (const turn of turns) await turn();
});
