import { assertEquals, assertThrows } from "@std/assert";
import { createSelection, MAX_STOP_IDS, select, selectionBytes, setStopIds } from "../../src/kernels/select.ts";
import { advance, type Sequence } from "../reference/advance.ts";
import { gpu } from "./fixture.ts";
import { PLAIN, words } from "./selection_fixture.ts";

const VOCAB = 97;

/** Runs one selection for each id, which its logits make certain. */
async function run(
  ids: readonly number[],
  { stopIds = [], ringCapacity = 4, nTokens = 1, isSampled = false }: {
    stopIds?: readonly number[];
    ringCapacity?: number;
    nTokens?: number;
    isSampled?: boolean;
  },
): Promise<Sequence> {
  const selection = createSelection(gpu, VOCAB, ringCapacity);
  using logits = gpu.createTensor("logits", "f32", [VOCAB]);
  using state = gpu.tensorOf("state", "u32", [8], Uint32Array.of(10, 0, 0, 3, 4, 5, 6, 7));
  using token = gpu.tensorOf("token", "u32", [1], Uint32Array.of(999));
  setStopIds(gpu, selection, stopIds);
  const recorder = gpu.record();
  const how = isSampled ? { sampling: { ...PLAIN, temperature: 1e-4 } } : {};
  select(recorder, { logits, state, token, selection, nStopIds: stopIds.length, nTokens, ...how });
  for (const id of ids) {
    gpu.upload(logits, Float32Array.from({ length: VOCAB }, (_, i) => i === id ? 1 : 0));
    gpu.submit([recorder]);
  }
  const [after, next, ring] = await Promise.all([state, token, selection.ring].map(words));
  assertEquals([...after!].slice(3), [3, 4, 5, 6, 7]);
  selection.dispose();
  return { position: after![0]!, done: after![1]!, count: after![2]!, token: next![0]!, ring: [...ring!] };
}

function twin(ids: readonly number[], stopIds: readonly number[], ringCapacity: number, nTokens: number): Sequence {
  const sequence = { position: 10, done: 0, count: 0, token: 999, ring: Array(ringCapacity).fill(0) };
  for (const id of ids) advance(sequence, id, stopIds, nTokens);
  return sequence;
}

const MANY = Array.from({ length: MAX_STOP_IDS }, (_, i) => 96 - i);

for (const isSampled of [false, true]) {
  const how = isSampled ? "sampled" : "greedy";
  for (
    const [story, ids, stopIds, ringCapacity, nTokens] of [
      ["goes round the ring", [3, 1, 4, 1, 5, 9], [], 4, 1],
      ["advances by the tokens of a prefill", [3], [], 1, 33],
      ["is done at a stop id and ignores overrun steps", [3, 8, 4, 5], [60, 8], 4, 1],
      ["finds the last of many stop ids", [3, 8, 4], [...MANY.slice(1), 8], 4, 1],
      ["is not stopped by other ids", [3, 8, 4, 5], MANY, 4, 1],
      ["may stop at once", [0], [0], 4, 1],
    ] as const
  ) {
    Deno.test(`a ${how} selection ${story}, as its twin does`, async () => {
      assertEquals(
        await run(ids, { stopIds, ringCapacity, nTokens, isSampled }),
        twin(ids, stopIds, ringCapacity, nTokens),
      );
    });
  }
}

Deno.test("createSelection() allocates what selectionBytes() says, and dispose() frees it", () => {
  const before = gpu.allocatedBytes;
  const selection = createSelection(gpu, 49153, 100);
  assertEquals(gpu.allocatedBytes - before, selectionBytes(49153, 100));
  selection.dispose();
  assertEquals(gpu.allocatedBytes, before);
});

Deno.test("setStopIds() refuses more ids than there is room for", () => {
  const selection = createSelection(gpu, 97, 1);
  assertThrows(() => setStopIds(gpu, selection, [...MANY, 1]), RangeError, "got 65");
  selection.dispose();
});
