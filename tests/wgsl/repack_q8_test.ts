import { assertEquals } from "@std/assert";
import { decodeRows } from "../../src/kernels/source_rows.ts";
import { decodeWeights } from "../reference/weight_formats.ts";
import { randomRows, shapesOf, store } from "./source_rows.ts";

Deno.test("repack_q8 keeps every value of Q8_0", async () => {
  for (const [rows, columns] of shapesOf("Q8_0")) {
    const bytes = randomRows("Q8_0", rows, columns, rows + columns);
    const exact = decodeRows(bytes, "Q8_0", columns);
    for (const sourceByte of [0, 1, 2]) {
      const stored = await store({ dtype: "Q8_0", bytes, columns, format: "q8", sourceByte });
      assertEquals(decodeWeights(stored), exact);
    }
  }
});
