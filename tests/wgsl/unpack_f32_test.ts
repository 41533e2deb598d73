import { SOURCE_BLOCKS, type SourceDtype } from "../../src/kernels/store_rows.ts";
import { decodeRows } from "../../src/kernels/source_rows.ts";
import { decodeWeights } from "../reference/weight_formats.ts";
import { assertWithinReference } from "./fixture.ts";
import { assertPaddingIsZero, randomRows, shapesOf, store } from "./source_rows.ts";

for (const dtype of Object.keys(SOURCE_BLOCKS) as SourceDtype[]) {
  Deno.test(`unpack_f32 agrees with its twin on ${dtype}`, async () => {
    for (const [rows, columns] of shapesOf(dtype)) {
      const bytes = randomRows(dtype, rows, columns, rows + columns);
      const exact = decodeRows(bytes, dtype, columns);
      for (const sourceByte of [0, 1, 2]) {
        const stored = await store({ dtype, bytes, columns, format: "f32", sourceByte });
        // One rounding of the exact value is what the best f32 could do, so nothing but roundings is allowed.
        assertWithinReference(decodeWeights(stored), exact, Float32Array.from(exact), 1e-8);
        assertPaddingIsZero(stored);
      }
    }
  });
}
