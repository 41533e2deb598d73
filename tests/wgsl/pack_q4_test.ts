import { assert, assertEquals } from "@std/assert";
import type { SourceDtype } from "../../src/kernels/store_rows.ts";
import { packQ4Errors } from "../reference/pack_q4.ts";
import { decodeRows } from "../../src/kernels/source_rows.ts";
import { decodeWeights } from "../reference/weight_formats.ts";
import { assertPaddingIsZero, randomRows, shapesOf, store } from "./source_rows.ts";

for (const dtype of ["F32", "F16", "BF16", "Q8_0", "Q4_1"] as const) {
  Deno.test(`pack_q4 leaves no more error than its twin on ${dtype}`, async () => {
    for (const [rows, columns] of shapesOf(dtype)) {
      await assertSmallestError(dtype, randomRows(dtype, rows, columns, rows + columns), columns);
    }
  });
}

Deno.test("pack_q4 stores multiples of one scale exactly", async () => {
  const weights = Float32Array.from({ length: 96 }, (_, i) => (i % 16 - 8) * 0.25);
  const bytes = new Uint8Array(weights.buffer);
  const stored = await store({ dtype: "F32", bytes, columns: 96, format: "q4" });
  assertEquals(decodeWeights(stored), Float64Array.from(weights));
});

Deno.test("pack_q4 keeps weights beyond f16 that a scale reaches", async () => {
  const large = Float32Array.from({ length: 64 }, (_, i) => (i - 32) * 16000);
  await assertSmallestError("F32", new Uint8Array(large.buffer), 64);
});

Deno.test("pack_q4 notes a value that no f16 scale reaches", async () => {
  const bytes = new Uint8Array(Float32Array.from({ length: 64 }, (_, i) => i === 0 ? Infinity : 1).buffer);
  assertEquals((await store({ dtype: "F32", bytes, columns: 64, format: "q4" })).fault, 1);
});

async function assertSmallestError(dtype: SourceDtype, bytes: Uint8Array<ArrayBuffer>, columns: number): Promise<void> {
  const exact = decodeRows(bytes, dtype, columns);
  const smallest = packQ4Errors(exact, columns);
  const groups = Math.ceil(columns / 32);
  const stored = await store({ dtype, bytes, columns, format: "q4" });
  const errors = new Float64Array(smallest.length);
  const squares = new Float64Array(smallest.length);
  decodeWeights(stored).forEach((value, i) => {
    const group = Math.floor(i / columns) * groups + Math.floor(i % columns / 32);
    errors[group]! += (value - exact[i]!) ** 2;
    squares[group]! += exact[i]! ** 2;
  });
  for (const [i, error] of errors.entries()) {
    // The scale may be the other neighbour in f16, and the kernel subtracts f32 sums as large as the sum of squares.
    const allowed = smallest[i]! * 1.01 + squares[i]! * 2 ** -21 + 1e-13;
    assert(error <= allowed, `Group ${i} has the squared error ${error}, the twin's is ${smallest[i]}`);
  }
  assertPaddingIsZero(stored);
  assertEquals(stored.fault, 0);
}
