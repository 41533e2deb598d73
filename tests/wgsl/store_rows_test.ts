import { assertEquals, assertRejects } from "@std/assert";
import { createMatrix, disposeMatrix } from "../../src/gpu/matrix.ts";
import { isVerbatim, uploadRows } from "../../src/kernels/store_rows.ts";
import { decodeRows } from "../../src/kernels/source_rows.ts";
import { decodeWeights } from "../reference/weight_formats.ts";
import { gpu } from "./fixture.ts";
import { randomRows, store } from "./source_rows.ts";

const COLUMNS = 64;

/** Rows of heads of `headDim` from interleaved pairs (2j, 2j + 1) to halves (j, j + headDim / 2). */
function halves(weights: Float64Array, headDim: number): Float64Array {
  const rows = weights.length / COLUMNS;
  const out = new Float64Array(weights.length);
  for (let row = 0; row < rows; row++) {
    const within = row % headDim;
    const to = row - within + (within < headDim / 2 ? 2 * within : 2 * (within - headDim / 2) + 1);
    out.set(weights.subarray(to * COLUMNS, (to + 1) * COLUMNS), row * COLUMNS);
  }
  return out;
}

for (const [dtype, format] of [["F32", "f32"], ["F16", "f16"], ["Q8_0", "q8"], ["Q4_1", "q4m"]] as const) {
  Deno.test(`storeRows() puts interleaved ${dtype} rows into halves of heads`, async () => {
    const headDim = 20;
    const bytes = randomRows(dtype, 5 * headDim, COLUMNS, 1);
    const exact = halves(decodeRows(bytes, dtype, COLUMNS), headDim);
    // Steps cut heads, and parts cut them elsewhere.
    for (const cuts of [{}, { step: 7 }, { partRows: 32 }, { step: 33, partRows: 11 }]) {
      const stored = await store({ dtype, bytes, columns: COLUMNS, format, halfDim: headDim / 2, ...cuts });
      assertEquals(decodeWeights(stored), exact);
    }
  });

  Deno.test(`storeRows() leaves other rows of the matrix alone when it stores ${dtype}`, async () => {
    const bytes = randomRows(dtype, 97, COLUMNS, 2);
    for (const cuts of [{}, { step: 10 }, { partRows: 64, step: 50 }]) {
      const stored = await store({ dtype, bytes, columns: COLUMNS, format, otherRows: 3, ...cuts });
      const none = new Float64Array(3 * COLUMNS);
      assertEquals([...decodeWeights(stored)], [...none, ...decodeRows(bytes, dtype, COLUMNS), ...none]);
    }
  });
}

Deno.test("storeRows() refuses a format that would invent a minimum", async () => {
  const bytes = randomRows("F32", 1, COLUMNS, 1);
  await assertRejects(
    () => store({ dtype: "F32", bytes, columns: COLUMNS, format: "q4m" }),
    TypeError,
    "Cannot store F32 weights as q4m",
  );
});

Deno.test("uploadRows() writes rows into the parts that they fall in", async () => {
  const bytes = randomRows("F32", 97, COLUMNS, 3);
  for (const partRows of [200, 97, 32, 10]) {
    const parts = [];
    for (let rowBegin = 0; rowBegin < 100; rowBegin += partRows) {
      const rows = Math.min(partRows, 100 - rowBegin);
      parts.push({ ...createMatrix(gpu, "stored", rows, COLUMNS, "f32").parts[0]!, rowBegin });
    }
    const matrix = { rows: 100, columns: COLUMNS, groups: 2, parts };
    uploadRows(gpu, bytes.subarray(0, 50 * COLUMNS * 4), matrix, 2, 50, "weight");
    uploadRows(gpu, bytes.subarray(50 * COLUMNS * 4), matrix, 52, 47, "weight");
    const stored = (await Promise.all(parts.map(({ weight }) => gpu.read(weight)))).flatMap((part) => [...part]);
    const edge = new Uint8Array(COLUMNS * 4);
    assertEquals(stored, [...edge, ...edge, ...bytes, ...edge]);
    disposeMatrix(matrix);
  }
});

Deno.test("isVerbatim() is true where bytes need no change", () => {
  assertEquals(isVerbatim("BF16", 64, 0, "bf16"), true);
  assertEquals(isVerbatim("F16", 64, 0, "bf16"), false);
  assertEquals(isVerbatim("BF16", 64, 32, "bf16"), false);
  assertEquals(isVerbatim("BF16", 60, 0, "bf16"), false);
});
