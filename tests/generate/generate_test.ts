import { assert, assertEquals, assertRejects } from "@std/assert";
import { generateTokens, type TokenLoop } from "../../src/generate/generate.ts";
import type { Batch } from "../../src/model/batch.ts";
import type { Decoding } from "../../src/model/decoding.ts";

/** A decoding that selects the ids 1, 2, 3, ... and notes what the loop asks of it. */
class Counting {
  readonly asked: number[] = [];
  ended = 0;
  inFlight = 0;
  mostInFlight = 0;
  #next = 1;
  room: number;
  readonly slid: { sinks: number; window: number }[] = [];

  constructor(room: number = 1000) {
    this.room = room;
  }

  begin(): Promise<Batch> {
    return Promise.resolve(this.#batch(1));
  }

  advance(count: number): Promise<Batch> {
    return Promise.resolve(this.#batch(count));
  }

  slide(kept: { sinks: number; window: number }): Promise<Batch> {
    assertEquals(this.inFlight, 0);
    this.slid.push(kept);
    this.room = 4;
    return Promise.resolve(this.#batch(1));
  }

  end(): void {
    this.ended++;
  }

  #batch(most: number): Batch {
    const count = Math.min(most, 8);
    this.asked.push(count);
    this.mostInFlight = Math.max(this.mostInFlight, ++this.inFlight);
    const ids = Array.from({ length: count }, () => this.#next++);
    return {
      count,
      discard: () => {
        this.inFlight--;
      },
      tokens: () => {
        this.inFlight--;
        return Promise.resolve(ids);
      },
    };
  }
}

function run(counting: Counting, loop: Partial<TokenLoop>) {
  const defaults = { maxTokens: 10, contextPolicy: "error", stopIds: new Set<number>() } as const;
  return generateTokens(counting as unknown as Decoding, { ...defaults, ...loop });
}

async function drain<T, R>(generator: AsyncGenerator<T, R>): Promise<[T[], R]> {
  const items: T[] = [];
  while (true) {
    const step = await generator.next();
    if (step.done) return [items, step.value];
    items.push(step.value);
  }
}

Deno.test("generateTokens() yields exactly maxTokens ids in order and asks for no more", async () => {
  const counting = new Counting();
  assertEquals(await drain(run(counting, { maxTokens: 10 })), [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], "length"]);
  assertEquals(counting.asked.reduce((sum, count) => sum + count), 10);
  assertEquals(counting.asked[0], 1);
  assertEquals(counting.ended, 1);
});

Deno.test("generateTokens() keeps one batch in flight while it reads the one before", async () => {
  const counting = new Counting();
  await drain(run(counting, { maxTokens: 40 }));
  assertEquals(counting.inFlight, 0);
  assertEquals(counting.mostInFlight, 1);
  assert(counting.asked.length > 2, "Expected several batches");
});

Deno.test("generateTokens() stops before a stop id and discards what was selected past it", async () => {
  const counting = new Counting();
  assertEquals(await drain(run(counting, { maxTokens: 100, stopIds: new Set([6]) })), [[1, 2, 3, 4, 5], "stop"]);
  assertEquals([counting.ended, counting.inFlight], [1, 0]);
});

Deno.test("generateTokens() tells that the context is full, unless maxTokens or a stop id comes no later", async () => {
  assertEquals(await drain(run(new Counting(3), { maxTokens: 100 })), [[1, 2, 3], "full"]);
  assertEquals(await drain(run(new Counting(0), { maxTokens: 100, contextPolicy: "stop" })), [[], "full"]);
  assertEquals(await drain(run(new Counting(3), { maxTokens: 3 })), [[1, 2, 3], "length"]);
  assertEquals(await drain(run(new Counting(3), { stopIds: new Set([3]) })), [[1, 2], "stop"]);
});

Deno.test("generateTokens() makes room where the policy has sinks, once all that was selected is yielded", async () => {
  const kept = { sinks: 1, window: 4 };
  const counting = new Counting(9);
  const [ids, reason] = await drain(run(counting, { maxTokens: 15, contextPolicy: kept }));
  assertEquals([ids, reason], [Array.from({ length: 15 }, (_, i) => i + 1), "length"]);
  // Room for 9, then for 4, then for 2 of 4.
  assertEquals(counting.slid, [kept, kept]);
});

Deno.test("generateTokens() throws an abort's reason and submits nothing after it", async () => {
  const counting = new Counting();
  const abort = new AbortController();
  const generator = run(counting, { maxTokens: 1000, signal: abort.signal });
  await generator.next();
  abort.abort(new Error("enough"));
  const before = counting.asked.length;
  await assertRejects(() => generator.next(), Error, "enough");
  assertEquals(counting.asked.length, before);
  assertEquals(counting.ended, 1);
});

Deno.test("generateTokens() ends the decoding when its reader leaves", async () => {
  const counting = new Counting();
  for await (const id of run(counting, { maxTokens: 1000 })) if (id === 3) break;
  assertEquals([counting.ended, counting.inFlight], [1, 0]);
});
