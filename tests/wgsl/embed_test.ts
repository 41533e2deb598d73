import { assertEquals, assertThrows } from "@std/assert";
import { disposeMatrix, WEIGHT_FORMATS } from "../../src/gpu/matrix.ts";
import { embed } from "../../src/kernels/embed.ts";
import { embed as twin } from "../reference/embed.ts";
import { decodeWeights } from "../reference/weight_formats.ts";
import { download, gpu, random } from "./fixture.ts";
import { matrixOf, randomWeights } from "./weights.ts";

for (const format of WEIGHT_FORMATS) {
  for (const [nTokens, vocab, columns] of [[1, 1, 4], [97, 300, 36], [1025, 70, 576], [3, 40, 4096]] as const) {
    Deno.test(`embed() gathers ${nTokens} rows of ${columns} from ${vocab} in ${format}`, async () => {
      const stored = randomWeights(format, vocab, columns, 1);
      const table = matrixOf(stored, 32);
      const next = random(2);
      const ids = Uint32Array.from({ length: nTokens + 2 }, () => Math.floor((next() + 1) / 2 * vocab));
      using tokens = gpu.tensorOf("tokens", "u32", [ids.length], ids);
      using out = gpu.createTensor("out", "f32", [nTokens, columns]);
      try {
        const recorder = gpu.record();
        embed(recorder, { tokens, tokensOffset: 2, table, out, nTokens });
        await gpu.run(recorder);
        const exact = Float32Array.from(twin(ids.subarray(2), decodeWeights(stored), columns));
        // WGSL lets a zero have either sign.
        const unsigned = (values: Float32Array) => values.map((value) => value + 0);
        assertEquals(unsigned(await download(out)), unsigned(exact));
      } finally {
        disposeMatrix(table);
      }
    });
  }
}

Deno.test("embed() refuses columns that are no multiple of 4", () => {
  const table = matrixOf(randomWeights("f16", 3, 6, 1));
  using tokens = gpu.createTensor("tokens", "u32", [1]);
  using out = gpu.createTensor("out", "f32", [1, 6]);
  assertThrows(() => embed(gpu.record(), { tokens, table, out, nTokens: 1 }), RangeError, "rows of 6 columns");
  disposeMatrix(table);
});

Deno.test("embed() writes rows from firstRow on and no others", async () => {
  const stored = randomWeights("q4", 9, 36, 1);
  const table = matrixOf(stored, 32);
  using tokens = gpu.tensorOf("tokens", "u32", [2], Uint32Array.of(8, 3));
  using out = gpu.tensorOf("out", "f32", [5, 36], new Float32Array(5 * 36).fill(7));
  const recorder = gpu.record();
  embed(recorder, { tokens, table, out, nTokens: 2, firstRow: 2 });
  await gpu.run(recorder);
  const expected = new Float32Array(5 * 36).fill(7);
  expected.set(twin(Uint32Array.of(8, 3), decodeWeights(stored), 36), 2 * 36);
  assertEquals(await download(out), expected);
  disposeMatrix(table);
});

Deno.test("embed() leaves the row of a token outside the table as it was", async () => {
  const table = matrixOf(randomWeights("q8", 3, 8, 1));
  using tokens = gpu.tensorOf("tokens", "u32", [2], Uint32Array.of(3, 2 ** 32 - 1));
  using out = gpu.tensorOf("out", "f32", [2, 8], new Float32Array(16).fill(7));
  const recorder = gpu.record();
  embed(recorder, { tokens, table, out, nTokens: 2 });
  await gpu.run(recorder);
  assertEquals(await download(out), new Float32Array(16).fill(7));
  disposeMatrix(table);
});
