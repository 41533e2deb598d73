import { assertEquals } from "@std/assert";
import { disposeMatrix, WEIGHT_FORMATS, type WeightFormat } from "../../src/gpu/matrix.ts";
import type { AdapterTraits } from "../../src/gpu/recorder.ts";
import { normGatedMatmul, normMatmul } from "../../src/kernels/norm_matmul.ts";
import { matmul, naiveMatmul } from "../reference/matmul.ts";
import { rmsNorm } from "../reference/rms_norm.ts";
import { siluMul } from "../reference/silu_mul.ts";
import { decodeWeights } from "../reference/weight_formats.ts";
import { assertWithinReference, download, gpu, randomFloats, upload } from "./fixture.ts";
import { shapesFor, VARIANTS } from "./matmul_cases.ts";
import { matrixOf, randomWeights } from "./weights.ts";

interface Case {
  readonly format: WeightFormat;
  readonly nRows: number;
  readonly rows: number;
  readonly columns: number;
  /** Whether rows are gate rows, then up rows. */
  readonly gated: boolean;
  readonly bias?: boolean;
  /** Size of the input. Default 1. */
  readonly scale?: number;
  /** Most rows in a part. Default all. */
  readonly partRows?: number;
  /** Dispatches that it takes. */
  readonly dispatches: number;
}

const FIRST_ROW = 2;
const EPS = 1e-5;

/** Runs the case and holds it to the tolerance rule. */
async function check(traits: AdapterTraits, test: Case): Promise<void> {
  const { format, nRows, rows, columns, gated, scale = 1, partRows } = test;
  const stored = randomWeights(format, rows, columns, 1);
  const matrix = matrixOf(stored, partRows);
  const xValues = randomFloats((FIRST_ROW + nRows) * columns, 2, scale);
  const gainValues = randomFloats(columns, 3);
  const biasValues = randomFloats(rows, 4);
  const outRows = gated ? rows / 2 : rows;
  using x = upload("x", xValues, [FIRST_ROW + nRows, columns]);
  using gain = upload("gain", gainValues, [columns]);
  using bias = upload("bias", biasValues, [rows]);
  using normed = gpu.createTensor("normed", "f32", [nRows, columns]);
  using gateUp = gpu.createTensor("gate and up", "f32", [nRows, rows]);
  using out = gpu.createTensor("out", "f32", [nRows, outRows]);
  try {
    const recorder = gpu.record(traits);
    const common = { x, firstRow: FIRST_ROW, gain, eps: EPS, normed, matrix, out, nRows };
    const operands = test.bias ? { ...common, bias } : common;
    if (gated) normGatedMatmul(recorder, { ...operands, gateUp });
    else normMatmul(recorder, operands);
    await gpu.run(recorder);
    const w = decodeWeights(stored);
    const twin = (product: typeof matmul | typeof naiveMatmul, round: (values: Float64Array) => ArrayLike<number>) => {
      const rowsOfX = Float64Array.from(xValues.subarray(FIRST_ROW * columns));
      const normedX = round(rmsNorm(rowsOfX, Float64Array.from(gainValues), columns, EPS));
      const y = product({ x: normedX, w, nRows, rows, columns, ...(test.bias ? { bias: biasValues } : {}) });
      return gated ? round(siluMul(y, nRows, outRows)) : y;
    };
    assertWithinReference(
      await download(out),
      twin(matmul, (values) => values),
      twin(naiveMatmul, (values) => Float32Array.from(values)),
    );
    assertEquals(recorder.steps.length, test.dispatches);
  } finally {
    disposeMatrix(matrix);
  }
}

for (const [variant, traits] of VARIANTS) {
  const isFused = variant !== "plain";
  const isGated = variant === "direct";
  for (const format of WEIGHT_FORMATS) {
    Deno.test(`normMatmul() agrees with its twins: ${variant}, ${format}`, async (t) => {
      const shapes: readonly [number, number][] = [[8, 4], [104, 100], [1032, 36], [16, 11008]];
      for (const [rows, columns] of shapesFor(format, shapes, [[104, 100]])) {
        const test = { format, nRows: 1, rows, columns, bias: columns === 100 };
        await t.step(
          `${rows} rows of ${columns}`,
          () => check(traits, { ...test, gated: false, dispatches: isFused ? 1 : 2 }),
        );
        await t.step(
          `${rows} rows of ${columns}, gated`,
          () => check(traits, { ...test, gated: true, dispatches: isFused ? 1 : 3 }),
        );
      }
      for (const [nRows, rows] of [[2, 8], [9, 104]] as const) {
        const test = { format, nRows, rows, columns: 100, gated: true, bias: nRows === 9 };
        await t.step(`${nRows} vectors, gated`, () => check(traits, { ...test, dispatches: isGated ? 2 : 3 }));
      }
    });
  }

  Deno.test(`normMatmul() takes inputs of any size, parts and several rows: ${variant}`, async (t) => {
    const test = { format: "q4", nRows: 1, rows: 104, columns: 64 } as const;
    for (const scale of [1e-12, 1e-4, 1e6]) {
      await t.step(
        `inputs up to ${scale}`,
        () => check(traits, { ...test, gated: true, scale, dispatches: isFused ? 1 : 3 }),
      );
    }
    const inParts = { ...test, partRows: 40, bias: true };
    await t.step("parts", () => check(traits, { ...inParts, gated: false, dispatches: isFused ? 3 : 4 }));
    // Gate rows and their up rows are in different bindings.
    await t.step("gated parts", () => check(traits, { ...inParts, gated: true, dispatches: isFused ? 4 : 5 }));
    const three = { ...test, nRows: 3, gated: true };
    await t.step("3 vectors", () => check(traits, { ...three, dispatches: isGated ? 2 : 3 }));
    await t.step("3 vectors, gated parts", () => check(traits, { ...three, partRows: 40, dispatches: 5 }));
  });
}
