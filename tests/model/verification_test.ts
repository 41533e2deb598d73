import { assertEquals } from "@std/assert";
import { Verification } from "../../src/model/verification.ts";
import { gpu, randomFloats, upload } from "../wgsl/fixture.ts";

const [ROWS, VOCAB] = [6, 5000];

/** Logits whose rows have these largest ids. */
function logitsOf(ids: readonly number[]): Float32Array<ArrayBuffer> {
  const values = randomFloats(ROWS * VOCAB, 3);
  ids.forEach((id, row) => values[row * VOCAB + id] = 2);
  return values;
}

async function verify(verification: Verification, values: Float32Array<ArrayBuffer>, proposals: readonly number[]) {
  using logits = upload("logits", values, [ROWS, VOCAB]);
  const recorder = gpu.record();
  // Row 0 is another sequence's.
  verification.record(recorder, logits, 1, 1 + proposals.length);
  await gpu.run(recorder);
  return verification.selected(proposals, new Uint32Array((await gpu.read(verification.partials)).buffer));
}

Deno.test("Verification accepts guesses up to the first that greedy selection does not give", async () => {
  const verification = new Verification(gpu, VOCAB, 4);
  const logits = logitsOf([9, 10, 4999, 30, 4096, 50]);
  assertEquals(await verify(verification, logits, [10, 4999, 30, 4096]), [10, 4999, 30, 4096, 50]);
  assertEquals(await verify(verification, logits, [10, 4999, 31, 4096]), [10, 4999, 30]);
  assertEquals(await verify(verification, logits, [11, 4999]), [10]);
  assertEquals(verification.figures, { proposed: 10, accepted: 6 });
  verification.dispose();
});

Deno.test("Verification takes the lowest id among equals, as selection does, and tells of what is not finite", async () => {
  const verification = new Verification(gpu, VOCAB, 4);
  const logits = logitsOf([9, 10, 20, 30, 40, 50]);
  logits[VOCAB + 4500] = 2;
  assertEquals(await verify(verification, logits, [10]), [10, 20]);
  logits[2 * VOCAB + 77] = NaN;
  assertEquals(await verify(verification, logits, [11, 1]), [10]);
  assertEquals(await verify(verification, logits, [10, 1]), undefined);
  verification.dispose();
});

Deno.test("Verification guesses less after wrong guesses, and more when one would have been right", () => {
  const verification = new Verification(gpu, 4096, 4);
  // Of one stretch: the largest key and its id.
  const select = (proposals: readonly number[], ids: readonly number[]) =>
    verification.selected(proposals, Uint32Array.from(ids.flatMap((id) => [2 ** 31, id])));
  const text = [1, 2, 3, 4, 5, 1, 2];
  assertEquals(verification.propose(text, 10), [3, 4, 5, 1]);
  select([3, 4, 5, 1], [3, 9, 0, 0, 0]);
  assertEquals(verification.propose(text, 10), [3]);
  select([3], [9, 0]);
  assertEquals(verification.propose(text, 10), []);
  // 3 was guessed, fed by nobody, and came.
  assertEquals(verification.propose([...text, 3], 10), [4, 5]);
  select([4, 5], [4, 5, 6]);
  assertEquals(verification.propose(text, 10), [3, 4, 5, 1]);
  assertEquals(verification.propose(text, 1), [3]);
  verification.dispose();
});
