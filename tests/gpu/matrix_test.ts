import { assert, assertEquals } from "@std/assert";
import { Gpu } from "../../src/gpu/device.ts";
import { createMatrix, disposeMatrix, matrixBytes, WEIGHT_FORMATS } from "../../src/gpu/matrix.ts";

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

Deno.test("a matrix takes 32, 16, 8.5, 5 or 4.5 bits a weight", () => {
  const bits = Object.fromEntries(
    WEIGHT_FORMATS.map((format) => [format, 8 * matrixBytes(512, 1024, format, 2 ** 27) / (512 * 1024)]),
  );
  // Formats without scales still bind one word for them.
  const unused = 32 / (512 * 1024);
  assertEquals(bits, { f32: 32 + unused, bf16: 16 + unused, f16: 16 + unused, q8: 8.5, q4m: 5, q4: 4.5 });
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
      assertEquals([matrix.rows, matrix.columns, matrix.groups], [rows, columns, Math.ceil(columns / 32)]);
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
  });
}
