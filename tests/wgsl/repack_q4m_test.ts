import { assertEquals } from "@std/assert";
import { decodeRows } from "../../src/kernels/source_rows.ts";
import { decodeWeights } from "../reference/weight_formats.ts";
import { maxError } from "./fixture.ts";
import { randomRows, shapesOf, store } from "./source_rows.ts";

Deno.test("repack_q4m keeps every value of Q4_1", async () => {
  for (const [rows, columns] of shapesOf("Q4_1")) {
    const bytes = randomRows("Q4_1", rows, columns, rows + columns);
    const exact = decodeRows(bytes, "Q4_1", columns);
    for (const sourceByte of [0, 1, 2]) {
      const stored = await store({ dtype: "Q4_1", bytes, columns, format: "q4m", sourceByte });
      assertEquals(maxError(decodeWeights(stored), exact), 0);
    }
  }
});
