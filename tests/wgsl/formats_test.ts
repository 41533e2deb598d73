import { assert } from "@std/assert";
// Rows of 512 weights by the gguf package: see tests/testdata/make/blocks.py.
import blocks from "../testdata/ggml_blocks.json" with { type: "json" };
import { createMatrix, disposeMatrix } from "../../src/gpu/matrix.ts";
import { embed } from "../../src/kernels/embed.ts";
import { type SourceDtype, sourceRowBytes, storeRows } from "../../src/kernels/store_rows.ts";
import { formatOf, type WeightChoice } from "../../src/model/weight_plan.ts";
import { decodeRows } from "../../src/kernels/source_rows.ts";
import { download, gpu } from "./fixture.ts";

const COLUMNS = 512;

/** Fails unless each value is within one unit in the last place of ggml's. */
function assertWithinUlp(actual: ArrayLike<number>, expected: Float32Array): void {
  for (const [i, value] of expected.entries()) {
    // A unit of 24 bits, no smaller than the least that an f32 has.
    const ulp = Math.max(2 ** (Math.floor(Math.log2(Math.abs(value))) - 23), 2 ** -149);
    assert(Math.abs(actual[i]! - value) <= ulp, `Weight ${i} is ${actual[i]}, ggml's is ${value}`);
  }
}

/** What kernels read of the rows, stored as asked. */
async function readBack(
  dtype: SourceDtype,
  bytes: Uint8Array<ArrayBuffer>,
  choice: WeightChoice,
): Promise<Float32Array> {
  const nRows = bytes.length / sourceRowBytes(dtype, COLUMNS);
  const matrix = createMatrix(gpu, "matrix", nRows, COLUMNS, formatOf(dtype, choice, "inner"));
  const piece = new Uint8Array(Math.ceil(bytes.length / 4) * 4 + 4);
  piece.set(bytes);
  using source = gpu.tensorOf("piece", "u32", [piece.length / 4], piece);
  using faults = gpu.createTensor("faults", "u32", [1]);
  using tokens = gpu.tensorOf("tokens", "u32", [nRows], Uint32Array.from({ length: nRows }, (_, i) => i));
  using out = gpu.createTensor("out", "f32", [nRows, COLUMNS]);
  const recorder = gpu.record();
  const rows = { firstRow: 0, nRows, columns: COLUMNS, rowOffset: 0, halfDim: 0 };
  storeRows(recorder, { source, sourceByte: 0, dtype, ...rows, matrix, faults, faultIndex: 0 });
  embed(recorder, { tokens, table: matrix, out, nTokens: nRows });
  await gpu.run(recorder);
  disposeMatrix(matrix);
  return await download(out);
}

for (const [name, { bytes, values }] of Object.entries(blocks)) {
  const dtype = name as SourceDtype;
  const stored = Uint8Array.fromBase64(bytes);
  const expected = new Float32Array(Uint8Array.fromBase64(values).buffer);

  Deno.test(`${dtype} blocks mean what ggml says, by their twin`, () => {
    assertWithinUlp(decodeRows(stored, dtype, COLUMNS), expected);
  });

  for (const choice of ["auto", "f32"] as const) {
    Deno.test(`${dtype} blocks mean what ggml says, with weights ${choice}`, async () => {
      assertWithinUlp(await readBack(dtype, stored, choice), expected);
    });
  }
}
