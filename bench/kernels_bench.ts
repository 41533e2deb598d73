/**
 * `deno bench` of the weight-matrix kernels, a group for each shape. Times are of whole submits of `REPEATS`
 * dispatches, from the call until the GPU is done.
 *
 * @module
 */
import { Gpu } from "../src/gpu/device.ts";
import { disposeMatrix } from "../src/gpu/matrix.ts";
import { matmul } from "../src/kernels/matmul.ts";
import { FEW_ROWS, filledMatrix, filledTensor, MATRIX_FORMATS, N_ROWS, SHAPES, VECTOR_FORMATS } from "./kernels.ts";

/** Dispatches in a submit, so that one takes milliseconds. */
const REPEATS = 8;

const gpu = await Gpu.request();

for (const shape of SHAPES) {
  for (const nRows of shape.name.includes("head") ? [1] : [1, FEW_ROWS, N_ROWS]) {
    for (const format of nRows === 1 ? VECTOR_FORMATS : MATRIX_FORMATS) {
      Deno.bench({
        name: `matmul ${format}`,
        group: `${shape.name}: ${shape.rows} x ${shape.columns}, ${nRows} of ${REPEATS} times`,
        baseline: format === "f16",
        n: 5,
        warmup: 1,
        fn: async (b) => {
          const matrix = filledMatrix(gpu, shape, format);
          using x = filledTensor(gpu, [nRows, shape.columns]);
          using out = gpu.createTensor("out", "f32", [nRows, shape.rows]);
          const recorder = gpu.record();
          for (let i = 0; i < REPEATS; i++) matmul(recorder, { x, matrix, out, nRows });
          await gpu.submit([recorder]);
          await gpu.settle();
          await gpu.device.queue.onSubmittedWorkDone();
          b.start();
          await gpu.submit([recorder]);
          // Deno waits for the GPU inside this call, and sleeps another 10 ms before the promise resolves.
          const done = gpu.device.queue.onSubmittedWorkDone();
          b.end();
          await done;
          disposeMatrix(matrix);
        },
      });
    }
  }
}
