import { WEIGHT_FORMATS } from "../../src/gpu/matrix.ts";
import { check, shapesFor, VARIANTS } from "./matmul_cases.ts";

for (const [variant, traits] of VARIANTS) {
  Deno.test(`matmul() of one vector agrees with its twin: ${variant}, 131,073 rows`, () =>
    check(traits, { format: "q8", nRows: 1, rows: 131_073, columns: 4 }));

  for (const format of WEIGHT_FORMATS) {
    Deno.test(`matmul() of one vector agrees with its twin: ${variant}, ${format}`, async (t) => {
      const shapes: readonly [number, number][] = [[1, 4], [97, 36], [64, 576], [1025, 100], [130, 1536], [7, 11008]];
      for (const [rows, columns] of shapesFor(format, shapes, [[97, 36], [130, 1536]])) {
        await t.step(`${rows} rows of ${columns}`, () => check(traits, { format, nRows: 1, rows, columns }));
      }
      await t.step("bias", () => check(traits, { format, nRows: 1, rows: 97, columns: 96, bias: true }));
      await t.step(
        "bias and residual",
        () => check(traits, { format, nRows: 1, rows: 300, columns: 64, bias: true, add: true }),
      );
      await t.step(
        "parts, offsets",
        () =>
          check(traits, {
            format,
            nRows: 1,
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
}
