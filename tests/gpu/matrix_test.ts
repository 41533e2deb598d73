import { assert, assertEquals } from "@std/assert";
import { Gpu } from "../../src/gpu/device.ts";
import { createMatrix, disposeMatrix, groupsPerRow, matrixBytes, WEIGHT_FORMATS } from "../../src/gpu/matrix.ts";
import { SOURCE_BLOCKS, type SourceDtype } from "../../src/kernels/store_rows.ts";
import { formatOf } from "../../src/model/weight_plan.ts";

/** The same device with a smaller limit for one binding. */
function withMaxTensorBytes(gpu: Gpu, maxTensorBytes: number): Gpu {
  return new Proxy(gpu, {
    get(target, name) {
      if (name === "maxTensorBytes") return maxTensorBytes;
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

Deno.test("a matrix takes as many bits a weight as its format says", () => {
  const bits = Object.fromEntries(
    WEIGHT_FORMATS.map((format) => [format, 8 * matrixBytes(512, 1024, format, 2 ** 27) / (512 * 1024)]),
  );
  // Formats without scales still bind one word for them.
  const unused = 32 / (512 * 1024);
  assertEquals(bits, {
    ...{ f32: 32 + unused, bf16: 16 + unused, f16: 16 + unused, q8: 8.5, q6k: 6.625, q5m: 6, q5k: 5.625, q5: 5.5 },
    ...{ q4m: 5, q4k: 4.625, q4: 4.5, q3k: 3.5, q2k: 2.625 },
  });
});

Deno.test("GGUF's blocks take at most 5% more than in the file", () => {
  for (const [dtype, { weights, bytes }] of Object.entries(SOURCE_BLOCKS)) {
    const format = formatOf(dtype as SourceDtype, "auto", "inner");
    const ratio = matrixBytes(512, 4096, format, 2 ** 27) / (512 * 4096 / weights * bytes);
    assert(ratio < 1.03 && ratio > 0.999, `${dtype} takes ${ratio} times its bytes`);
  }
});

Deno.test("rows are padded to whole groups of 32 weights", () => {
  assertEquals(matrixBytes(3, 36, "q4m", 2 ** 27), matrixBytes(3, 64, "q4m", 2 ** 27));
  assertEquals(matrixBytes(3, 33, "f32", 2 ** 27), 3 * 64 * 4 + 4);
});

for (const format of WEIGHT_FORMATS) {
  Deno.test(`a ${format} matrix over the binding limit is split by rows, and takes what matrixBytes() says`, async () => {
    using gpu = await Gpu.request();
    for (
      const [rows, columns, limit] of [[1, 32, 4096], [100, 64, 4096], [97, 96, 65536], [1025, 36, 70000]] as const
    ) {
      const small = withMaxTensorBytes(gpu, limit);
      const before = gpu.allocatedBytes;
      const matrix = createMatrix(small, "weights", rows, columns, format);
      assertEquals(gpu.allocatedBytes - before, matrixBytes(rows, columns, format, limit));
      assertEquals([matrix.rows, matrix.columns, matrix.groups], [rows, columns, groupsPerRow(format, columns)]);
      let next = 0;
      for (const part of matrix.parts) {
        assertEquals(part.rowBegin, next);
        assert(part.rowBegin % 32 === 0 || matrix.parts.every(({ rows }) => rows < 32));
        assert(part.weight.byteLength <= limit && part.scales.byteLength <= limit);
        next += part.rows;
      }
      assertEquals(next, rows);
      disposeMatrix(matrix);
      assertEquals(gpu.allocatedBytes, before);
    }
    await gpu.settle();
  });
}
