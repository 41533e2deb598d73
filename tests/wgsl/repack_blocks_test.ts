import { assertEquals } from "@std/assert";
import { formatOf } from "../../src/model/weight_plan.ts";
import { decodeRows } from "../../src/kernels/source_rows.ts";
import { decodeWeights } from "../reference/weight_formats.ts";
import { randomRows, shapesOf, store } from "./source_rows.ts";

for (const dtype of ["Q6_K", "Q5_1", "Q5_K", "Q5_0", "Q4_K", "Q3_K", "Q2_K"] as const) {
  Deno.test(`repack_blocks keeps every value of ${dtype}`, async () => {
    const format = formatOf(dtype, "auto", "inner");
    for (const [rows, columns] of shapesOf(dtype)) {
      const bytes = randomRows(dtype, rows, columns, rows + columns);
      const exact = decodeRows(bytes, dtype, columns);
      for (const sourceByte of [0, 1, 2]) {
        const stored = await store({ dtype, bytes, columns, format, sourceByte });
        assertEquals(decodeWeights(stored), exact);
      }
    }
  });
}
