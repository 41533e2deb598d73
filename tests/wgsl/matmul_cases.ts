/**
 * One product with a weight matrix, run and compared with its twins: shared by the tests of all variants.
 *
 * @module
 */
import { disposeMatrix, type WeightFormat } from "../../src/gpu/matrix.ts";
import type { AdapterTraits } from "../../src/gpu/recorder.ts";
import { matmul } from "../../src/kernels/matmul.ts";
import { matmul as twin, naiveMatmul } from "../reference/matmul.ts";
import { decodeWeights } from "../reference/weight_formats.ts";
import { assertWithinReference, download, gpu, randomFloats, upload } from "./fixture.ts";
import { matrixOf, randomWeights } from "./weights.ts";

/** The traits that lead to each variant. */
export const VARIANTS: readonly (readonly [string, AdapterTraits])[] = [
  ["direct", { isSoftware: true, subgroups: true, subgroupSize: 8 }],
  ["plain", { isSoftware: true, subgroups: true, subgroupSize: 4 }],
  ["shared", { isSoftware: false, subgroups: false, subgroupSize: 0 }],
  ["subgroup", { isSoftware: false, subgroups: true, subgroupSize: 8 }],
];

/**
 * The shapes of a test that a format takes: GGUF's blocks differ from the rest in nothing but how a load is read, and a
 * few of many shapes say whether it is read right.
 */
export function shapesFor<S extends readonly number[]>(
  format: WeightFormat,
  shapes: readonly S[],
  few: readonly NoInfer<S>[],
): readonly S[] {
  return format.endsWith("k") || format.startsWith("q5") ? few : shapes;
}

/** A product to check. */
export interface Case {
  /** Storage format of the weights. */
  readonly format: WeightFormat;
  /** Number of vectors. */
  readonly nRows: number;
  /** Output extent. */
  readonly rows: number;
  /** Input extent. */
  readonly columns: number;
  /** Whether there is a bias. */
  readonly bias?: boolean;
  /** Whether the product is added to the output. */
  readonly add?: boolean;
  /** Most rows in a part. Default all. */
  readonly partRows?: number;
  /** Rows of `x` before the first one used. Default 0. */
  readonly xOffset?: number;
  /** Columns of `out` before the product's; as many follow it. Default 0. */
  readonly outOffset?: number;
}

/** Runs the case and holds it to the tolerance rule; everything around the product must stay as it was. */
export async function check(traits: AdapterTraits, test: Case): Promise<void> {
  const { format, nRows, rows, columns, partRows, xOffset = 0, outOffset = 0, add = false } = test;
  const stored = randomWeights(format, rows, columns, 1);
  const matrix = matrixOf(stored, partRows);
  const xValues = randomFloats((xOffset + nRows) * columns, 2);
  const biasValues = randomFloats(rows, 3);
  const outStride = rows + 2 * outOffset;
  const before = randomFloats(nRows * outStride, 4);
  using x = upload("x", xValues, [xOffset + nRows, columns]);
  using bias = upload("bias", biasValues, [rows]);
  using out = upload("out", before, [nRows, outStride]);
  try {
    const recorder = gpu.record(traits);
    const operands = { x, xOffset, matrix, out, outOffset, outStride, nRows, add };
    matmul(recorder, test.bias ? { ...operands, bias } : operands);
    await gpu.run(recorder);
    const result = await download(out);
    const product = new Float32Array(nRows * rows);
    const residual = new Float32Array(nRows * rows);
    for (let r = 0; r < nRows; r++) {
      const begin = r * outStride + outOffset;
      product.set(result.subarray(begin, begin + rows), r * rows);
      residual.set(before.subarray(begin, begin + rows), r * rows);
      before.set(result.subarray(begin, begin + rows), begin);
    }
    for (let i = 0; i < result.length; i++) {
      if (result[i] !== before[i]) throw new Error(`Element ${i}, outside the product, became ${result[i]}`);
    }
    const reference = {
      x: xValues.subarray(xOffset * columns),
      w: decodeWeights(stored),
      nRows,
      rows,
      columns,
      ...(test.bias ? { bias: biasValues } : {}),
      ...(add ? { residual } : {}),
    };
    assertWithinReference(product, twin(reference), naiveMatmul(reference));
  } finally {
    disposeMatrix(matrix);
  }
}
