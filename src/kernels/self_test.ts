/**
 * A known-answer test for a device that has not run Skein yet: three kernels that every model uses, on inputs small
 * enough to follow by hand. A driver that miscompiles them is then named instead of trusted.
 *
 * @module
 */
import { ShaderError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import { createMatrix, disposeMatrix } from "../gpu/matrix.ts";
import { matmul } from "./matmul.ts";
import { rmsNorm } from "./rms_norm.ts";
import { createSelection, select } from "./select.ts";

const passed = new WeakSet<GPUDevice>();

/** Row length of the normalised vector and of the matrix: two groups of weights. */
const DIM = 64;

/** Rows of the matrix; the logits are its product with the vector. */
const ROWS = 96;

/** Weights with their f16 bits. */
const WEIGHTS = [[1, 0x3c00], [-0.5, 0xb800], [3, 0x4200], [0.25, 0x3400], [-2, 0xc000], [0, 0x0000], [1.5, 0x3e00]];

/**
 * Runs normalisation, a matrix product and an argmax once in a row on the device, unless it has passed before.
 *
 * @throws {ShaderError} If a kernel does not compile, or its result is off by over 1e-4 of the largest value.
 */
export async function selfTest(gpu: Gpu): Promise<void> {
  if (passed.has(gpu.device)) return;
  const values = Float32Array.from({ length: DIM }, (_, i) => ((i * 29) % 17 - 8) / 4);
  const gains = Float32Array.from({ length: DIM }, (_, i) => 1 + (i % 5) / 8);
  const weightAt = (row: number, column: number) => WEIGHTS[(row * 31 + column * 11 + row * column) % WEIGHTS.length]!;
  const packed = Uint32Array.from({ length: ROWS * DIM / 2 }, (_, i) => {
    const row = Math.floor(2 * i / DIM);
    const column = 2 * i % DIM;
    return weightAt(row, column)[1]! | weightAt(row, column + 1)[1]! << 16;
  });

  const made = await gpu.allocate(() => ({
    x: gpu.tensorOf("self-test, x", "f32", [1, DIM], values),
    weight: gpu.tensorOf("self-test, gains", "f32", [DIM], gains),
    matrix: createMatrix(gpu, "self-test, matrix", ROWS, DIM, "f16"),
    selection: createSelection(gpu, ROWS, 1),
    outputs: [[1, DIM], [1, ROWS]].map((shape) => gpu.createTensor("self-test, out", "f32", shape)),
    states: [8, 1].map((length) => gpu.createTensor("self-test, state", "u32", [length])),
  }));
  const { x, weight, matrix, selection, outputs: [normed, logits], states: [state, token] } = made;
  try {
    gpu.upload(matrix.parts[0]!.weight, packed);
    const recorder = gpu.record();
    rmsNorm(recorder, { x, weight, out: normed!, nRows: 1, dim: DIM, eps: 1e-5 });
    matmul(recorder, { x: normed!, matrix, out: logits!, nRows: 1 });
    select(recorder, { logits: logits!, state: state!, token: token!, selection, nStopIds: 0 });
    // A shader that does not compile is told of here, before its results are looked at.
    const readback = gpu.submit([recorder], [normed!, logits!, token!].map((tensor) => ({ tensor })));
    await gpu.settle();
    const { buffer } = await readback.fetch();
    const actual = new Float32Array(buffer, 0, DIM + ROWS);

    const scale = 1 / Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / DIM + 1e-5);
    const exact = Array.from(values, (value, i) => gains[i]! * value * scale);
    const [norm, matvec, argmax, advance] = recorder.steps.map((step) => "kernel" in step ? step.kernel.name : "");
    compare(gpu, [norm!], actual.subarray(0, DIM), exact);
    const products = Array.from(
      { length: ROWS },
      (_, row) => exact.reduce((sum, value, column) => sum + value * weightAt(row, column)[0]!, 0),
    );
    compare(gpu, [matvec!], actual.subarray(DIM), products);
    compare(gpu, [argmax!, advance!], new Uint32Array(buffer, 4 * (DIM + ROWS), 1), [
      products.indexOf(Math.max(...products)),
    ]);
    passed.add(gpu.device);
  } finally {
    disposeMatrix(matrix);
    selection.dispose();
    for (const tensor of [x, weight, normed, logits, state, token]) tensor!.dispose();
  }
}

function compare(gpu: Gpu, kernels: readonly string[], actual: ArrayLike<number>, expected: readonly number[]): void {
  const allowed = 1e-4 * Math.max(...expected.map(Math.abs));
  const wrong = expected.findIndex((value, i) => !(Math.abs(actual[i]! - value) <= allowed));
  if (wrong < 0) return;
  throw new ShaderError(
    kernels[0]!,
    `Kernel ${kernels.join(" or ")} computes wrongly on ${gpu.name}: value ${wrong} is ${actual[wrong]} and should be ${
      expected[wrong]
    }; try another driver or adapter`,
  );
}
