import { assertEquals } from "@std/assert";
import { decodeRows } from "../../src/kernels/source_rows.ts";
import { decodeWeights } from "../reference/weight_formats.ts";
import { randomRows, shapesOf, store } from "./source_rows.ts";

for (const dtype of ["Q4_0"] as const) {
  Deno.test(`repack_q4 keeps every value of ${dtype}`, async () => {
    for (const [rows, columns] of shapesOf(dtype)) {
      const bytes = randomRows(dtype, rows, columns, rows + columns);
      const exact = decodeRows(bytes, dtype, columns);
      for (const sourceByte of [0, 1, 2]) {
        const stored = await store({ dtype, bytes, columns, format: "q4", sourceByte });
        assertEquals(decodeWeights(stored), exact);
      }
    }
  });
}
