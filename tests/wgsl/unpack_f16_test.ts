import { assertEquals } from "@std/assert";
import { SOURCE_BLOCKS, type SourceDtype } from "../../src/kernels/store_rows.ts";
import { decodeRows } from "../../src/kernels/source_rows.ts";
import { decodeWeights } from "../reference/weight_formats.ts";
import { assertWithinReference } from "./fixture.ts";
import { assertPaddingIsZero, randomRows, shapesOf, store } from "./source_rows.ts";

for (const dtype of (Object.keys(SOURCE_BLOCKS) as SourceDtype[]).filter((dtype) => dtype !== "F16")) {
  Deno.test(`unpack_f16 agrees with its twin on ${dtype}`, async () => {
    for (const [rows, columns] of shapesOf(dtype)) {
      const bytes = randomRows(dtype, rows, columns, rows + columns);
      const exact = decodeRows(bytes, dtype, columns);
      for (const sourceByte of [0, 3]) {
        const stored = await store({ dtype, bytes, columns, format: "f16", sourceByte });
        assertWithinReference(decodeWeights(stored), exact, Float16Array.from(exact), 1e-8);
        assertPaddingIsZero(stored);
        assertEquals(stored.fault, 0);
      }
    }
  });
}

for (const [value, fault] of [[65519, 0], [-65519, 0], [65520, 1], [-1e9, 1], [NaN, 1], [-Infinity, 1]] as const) {
  Deno.test(`unpack_f16 ${fault === 1 ? "notes" : "stores"} ${value}`, async () => {
    const bytes = new Uint8Array(Float32Array.from({ length: 80 }, (_, i) => i === 71 ? value : 1).buffer);
    assertEquals((await store({ dtype: "F32", bytes, columns: 40, format: "f16" })).fault, fault);
  });
}
