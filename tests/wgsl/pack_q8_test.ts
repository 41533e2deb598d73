import { assert, assertEquals } from "@std/assert";
import type { SourceDtype } from "../../src/kernels/store_rows.ts";
import { packQ8Scales } from "../reference/pack_q8.ts";
import { decodeRows } from "../../src/kernels/source_rows.ts";
import { decodeWeights } from "../reference/weight_formats.ts";
import { assertPaddingIsZero, randomRows, shapesOf, store } from "./source_rows.ts";

for (const dtype of ["F32", "F16", "BF16", "Q4_1"] as const) {
  Deno.test(`pack_q8 rounds ${dtype} to the nearest multiple of the twin's scale`, async () => {
    for (const [rows, columns] of shapesOf(dtype)) {
      await assertNearest(dtype, randomRows(dtype, rows, columns, rows + columns), columns);
    }
  });
}

Deno.test("pack_q8 keeps weights that are too small for a scale of their own", async () => {
  const tiny = Float32Array.from({ length: 64 }, (_, i) => (i - 32) * 2 ** -26);
  await assertNearest("F32", new Uint8Array(tiny.buffer), 64);
});

Deno.test("pack_q8 keeps weights beyond f16 that a scale reaches", async () => {
  const large = Float32Array.from({ length: 64 }, (_, i) => (i - 32) * 100000);
  await assertNearest("F32", new Uint8Array(large.buffer), 64);
});

Deno.test("pack_q8 notes a value that no f16 scale reaches", async () => {
  const bytes = new Uint8Array(Float32Array.from({ length: 64 }, (_, i) => i === 63 ? 1e38 : 1).buffer);
  assertEquals((await store({ dtype: "F32", bytes, columns: 64, format: "q8" })).fault, 1);
});

async function assertNearest(dtype: SourceDtype, bytes: Uint8Array<ArrayBuffer>, columns: number): Promise<void> {
  const exact = decodeRows(bytes, dtype, columns);
  const scales = packQ8Scales(exact, columns);
  const groups = Math.ceil(columns / 32);
  const stored = await store({ dtype, bytes, columns, format: "q8" });
  const actual = decodeWeights(stored);
  for (let i = 0; i < exact.length; i++) {
    const d = scales[Math.floor(i / columns) * groups + Math.floor(i % columns / 32)]!;
    // WGSL may round the scale to either neighbour in f16, a thousandth apart, and divides within 2.5 ulp.
    const allowed = d * 0.502 + 2 ** -24;
    assert(
      Math.abs(actual[i]! - exact[i]!) <= allowed,
      `Weight ${i} is ${exact[i]}, stored as ${actual[i]} with d ${d}`,
    );
  }
  assertPaddingIsZero(stored);
  assertEquals(stored.fault, 0);
}
