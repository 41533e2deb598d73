import { assertEquals } from "@std/assert";
import { decodeRows } from "../../src/kernels/source_rows.ts";
import { decodeWeights } from "../reference/weight_formats.ts";
import { assertPaddingIsZero, randomRows, shapesOf, store } from "./source_rows.ts";

for (const [dtype, format] of [["F16", "f16"], ["BF16", "bf16"]] as const) {
  Deno.test(`repack_half keeps every bit of ${dtype}`, async () => {
    for (const [rows, columns] of shapesOf(dtype)) {
      const bytes = randomRows(dtype, rows, columns, rows + columns);
      // A signalling NaN, an infinity, the smallest subnormal and minus zero.
      bytes.set([0x01, 0x7c, 0x80, 0xff, 0x01, 0x00, 0x00, 0x80]);
      const exact = decodeRows(bytes, dtype, columns);
      for (const sourceByte of [0, 1, 2]) {
        const stored = await store({ dtype, bytes, columns, format, sourceByte });
        // Of one NaN or another.
        assertEquals([...decodeWeights(stored)], [...exact]);
        assertEquals(stored.weight.slice(0, 2), new Uint32Array(bytes.slice(0, 8).buffer));
        assertPaddingIsZero(stored);
      }
    }
  });
}
