import { assertEquals, assertThrows } from "@std/assert";
import { disposeMatrix, WEIGHT_FORMATS } from "../../src/gpu/matrix.ts";
import { matmul } from "../../src/kernels/matmul.ts";
import { download, gpu, randomFloats, upload } from "./fixture.ts";
import { check, shapesFor, VARIANTS } from "./matmul_cases.ts";
import { matrixOf, randomWeights } from "./weights.ts";

for (const [variant, traits] of VARIANTS.filter(([name]) => name !== "subgroup")) {
  for (const format of WEIGHT_FORMATS) {
    Deno.test(`matmul() agrees with its twin: ${variant}, ${format}`, async (t) => {
      const shapes: readonly [number, number, number][] = [[2, 1, 4], [97, 97, 36], [5, 64, 576], [1025, 66, 100], [
        65,
        130,
        192,
      ]];
      for (const [nRows, rows, columns] of shapesFor(format, shapes, [[97, 97, 36], [65, 130, 512]])) {
        await t.step(
          `${nRows} vectors, ${rows} rows of ${columns}`,
          () => check(traits, { format, nRows, rows, columns }),
        );
      }
      await t.step("bias", () => check(traits, { format, nRows: 9, rows: 97, columns: 96, bias: true }));
      await t.step(
        "bias and residual",
        () => check(traits, { format, nRows: 33, rows: 129, columns: 64, bias: true, add: true }),
      );
      await t.step(
        "parts, offsets",
        () =>
          check(traits, {
            format,
            nRows: 3,
            rows: 97,
            columns: 36,
            partRows: 40,
            xOffset: 3,
            outOffset: 5,
            bias: true,
          }),
      );
    });
  }

  Deno.test(`matmul() gives a vector the same bits in any chunk: ${variant}`, async () => {
    const [nRows, rows, columns] = [139, 203, 612];
    const matrix = matrixOf(randomWeights("q4m", rows, columns, 1));
    using x = upload("x", randomFloats(nRows * columns, 2), [nRows, columns]);
    try {
      const whole = await product(0, nRows);
      for (const [begin, count] of [[0, 2], [2, 7], [9, 64], [73, 66]] as const) {
        assertEquals(await product(begin, count), whole.slice(begin * rows, (begin + count) * rows));
      }
    } finally {
      disposeMatrix(matrix);
    }

    async function product(begin: number, count: number): Promise<Float32Array> {
      using out = gpu.createTensor("out", "f32", [count, rows]);
      const recorder = gpu.record(traits);
      matmul(recorder, { x, xOffset: begin, matrix, out, nRows: count });
      await gpu.run(recorder);
      return await download(out);
    }
  });
}

Deno.test("matmul() refuses columns that are no multiple of 4", () => {
  const matrix = matrixOf(randomWeights("f32", 3, 6, 1));
  using x = upload("x", randomFloats(6, 2), [1, 6]);
  using out = gpu.createTensor("out", "f32", [1, 3]);
  assertThrows(() => matmul(gpu.record(), { x, matrix, out, nRows: 1 }), RangeError, "a matrix of 6 columns");
  disposeMatrix(matrix);
});
