/**
 * Known answers for the kernels of a loaded model, with its own weights, shapes and storage formats: one layer's
 * operations on random vectors, each recomputed on the host. A driver that miscompiles one is named instead of trusted.
 *
 * Weights are known by the embedding kernel, which only unpacks them: where both products with a matrix disagree with
 * it, it is the one that is wrong.
 *
 * @module
 */
import type { Matrix } from "../gpu/matrix.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { embed } from "../kernels/embed.ts";
import { matmul } from "../kernels/matmul.ts";
import { normGatedMatmul, normMatmul } from "../kernels/norm_matmul.ts";
import { checkAttention } from "./attention_check.ts";
import type { Runtime } from "./runtime.ts";
import { Snapshots, wrongKernel } from "./snapshots.ts";

/** Rows of each matrix that are recomputed. */
const SAMPLES = 4;

/** Vectors of the products: one, by the kernels of decoding, and two, by those of prefill. */
const COUNTS = [1, 2];

/** A product with one matrix, as the forward pass has it. */
interface Product {
  readonly matrix: Matrix;
  readonly bias: Tensor | undefined;
  /** Where its input lies. */
  readonly x: Tensor;
  /** Gain of the norm that it begins with. */
  readonly gain?: Tensor;
  /** Whether it is of gate and up rows, whose product by SiLU it gives. */
  readonly isGated?: boolean;
  /** Whether it adds to its output. */
  readonly adds?: boolean;
  readonly out: Tensor;
  readonly counts: readonly number[];
}

/**
 * Checks the kernels that every token takes.
 *
 * @throws {ShaderError} With the name of the first that computes wrongly.
 */
export async function checkKernels(runtime: Runtime): Promise<void> {
  const { llama: { weights, scratch }, prefillChunk } = runtime;
  const layer = weights.layers[0]!;
  const { hidden, attended, activated, qkv, logits } = scratch;
  const counts = COUNTS.filter((count) => count <= prefillChunk);
  const products: Product[] = [
    { matrix: layer.qkvProj, bias: layer.qkvBias, x: hidden, gain: layer.inputNorm, out: qkv, counts },
    { matrix: layer.oProj, bias: layer.oBias, x: attended, out: hidden, adds: true, counts },
    {
      ...{ matrix: layer.gateUpProj, bias: layer.gateUpBias, x: hidden, gain: layer.postAttentionNorm },
      ...{ isGated: true, out: activated, counts },
    },
    { matrix: layer.downProj, bias: layer.downBias, x: activated, out: hidden, adds: true, counts },
    { matrix: weights.lmHead, bias: undefined, x: hidden, gain: weights.norm, out: logits, counts },
  ];
  // Each is one submit, and they wait for their results together.
  const checks = [...products.map((product) => checkProduct(runtime, product)), checkAttention(runtime)];
  for (const outcome of await Promise.allSettled(checks)) if (outcome.status === "rejected") throw outcome.reason;
}

/** What one product has left, for one number of vectors. */
interface Outcome {
  readonly nRows: number;
  readonly kernels: readonly string[];
  readonly normed: number;
  readonly gateUp: number;
  readonly out: number;
}

async function checkProduct(runtime: Runtime, product: Product): Promise<void> {
  const { gpu, config: { rmsNormEps: eps }, llama: { scratch } } = runtime;
  const { matrix, bias, x, gain, isGated = false, adds = false, out, counts } = product;
  const { columns } = matrix;
  const width = isGated ? matrix.rows / 2 : matrix.rows;
  const samples = [0, width - 1, ...Array.from({ length: SAMPLES - 2 }, (_, i) => (i + 1) * 7919 % width)];
  const ids = isGated ? [...samples, ...samples.map((row) => row + width)] : samples;
  const nVectors = counts.reduce((sum, count) => sum + count, 0);
  const most = nVectors * (columns + 2 * matrix.rows) + (ids.length + 1) * columns + matrix.rows;
  using snapshots = await Snapshots.of(gpu, columns * 2 + width * 2, most);
  const recorder = gpu.record();
  const outcomes = counts.map((nRows): Outcome => {
    snapshots.randomize(recorder, x, nRows * columns);
    if (adds) snapshots.randomize(recorder, out, nRows * width, nRows * columns);
    const begin = recorder.steps.length;
    const operands = { x, normed: scratch.normed, matrix, bias, out, nRows };
    if (isGated) normGatedMatmul(recorder, { ...operands, gain: gain!, eps, gateUp: scratch.gateUp });
    else if (gain !== undefined) normMatmul(recorder, { ...operands, gain, eps });
    else matmul(recorder, { ...operands, add: adds });
    const kernels = namesOf(recorder, begin);
    // Whether the norm and the gate have dispatches of their own depends on the adapter.
    const keep = (tensor: Tensor, length: number, isThere: boolean) =>
      isThere ? snapshots.keep(recorder, tensor, length) : -1;
    return {
      ...{ nRows, kernels, out: snapshots.keep(recorder, out, nRows * width) },
      normed: keep(scratch.normed, nRows * columns, kernels.includes("rms_norm")),
      gateUp: keep(scratch.gateUp, nRows * matrix.rows, kernels.includes("silu_mul")),
    };
  });
  using tokens = await gpu.allocate(() =>
    gpu.tensorOf("rows that are checked", "u32", [ids.length], Uint32Array.from(ids))
  );
  using rows = await gpu.allocate(() => gpu.createTensor("checked rows", "f32", [ids.length, columns]));
  const begin = recorder.steps.length;
  embed(recorder, { tokens, table: matrix, out: rows, nTokens: ids.length });
  const [unpacking] = namesOf(recorder, begin);
  const weights = snapshots.keep(recorder, rows, ids.length * columns);
  const gains = gain === undefined ? -1 : snapshots.keep(recorder, gain, columns);
  const biases = bias === undefined ? -1 : snapshots.keep(recorder, bias, matrix.rows);
  const read = await snapshots.run(recorder);

  const wrong: string[] = [];
  for (const { nRows, kernels, normed, gateUp, out } of outcomes) {
    let isWrong = false;
    for (let row = 0; row < nRows; row++) {
      let input = Float64Array.from(snapshots.random(row * columns, columns));
      if (gain !== undefined) {
        const scale = 1 / Math.sqrt(input.reduce((sum, value) => sum + value * value, 0) / columns + eps);
        const gainValues = read(gains, columns);
        input = input.map((value, i) => value * scale * gainValues[i]!);
        if (normed >= 0) compare(gpu.name, ["rms_norm"], read(normed + row * columns, columns), input, () => 1e-5);
      }
      const size = (index: number) => dot(read(weights + index * columns, columns), input, Math.abs);
      const product = (index: number) =>
        dot(read(weights + index * columns, columns), input) +
        (biases < 0 ? 0 : read(biases, matrix.rows)[ids[index]!]!);
      for (const [i, sample] of samples.entries()) {
        // Of weights as large as this, sums are infinite on the best adapter.
        if (!(size(i) < 1e30 && (!isGated || size(i + samples.length) < 1e30))) continue;
        let expected = product(i);
        let allowed = 1e-4 * size(i);
        if (isGated) {
          const up = product(i + samples.length);
          if (gateUp >= 0) {
            const [gate, upOfGpu] = [sample, sample + width].map((at) => read(gateUp + row * matrix.rows + at, 1)[0]!);
            isWrong ||= !(Math.abs(gate! - expected) <= allowed + 1e-6);
            compare(gpu.name, ["silu_mul"], read(out + row * width + sample, 1), [silu(gate!) * upOfGpu!], () => 1e-4);
          }
          allowed = allowed * 1.2 * Math.abs(up) + 1e-4 * size(i + samples.length) * Math.abs(silu(expected));
          expected = silu(expected) * up;
        }
        if (adds) expected += snapshots.random(nRows * columns + row * width + sample, 1)[0]!;
        isWrong ||= !(Math.abs(read(out + row * width + sample, 1)[0]! - expected) <= allowed + 1e-6);
      }
    }
    const named = kernels.find((name) => name.startsWith("mat"));
    if (isWrong) wrong.push(named!);
  }
  if (wrong.length === 0) return;
  throw wrongKernel(gpu.name, wrong.length === outcomes.length && wrong.length > 1 ? [unpacking!] : [wrong[0]!]);
}

function namesOf(recorder: Recorder, begin: number): string[] {
  return recorder.steps.slice(begin).flatMap((step) => "kernel" in step ? [step.kernel.name] : []);
}

function compare(
  device: string,
  kernels: readonly string[],
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: (i: number) => number,
): void {
  for (let i = 0; i < expected.length; i++) {
    const allowed = tolerance(i) * (1 + Math.abs(expected[i]!));
    if (!(Math.abs(actual[i]! - expected[i]!) <= allowed)) throw wrongKernel(device, kernels);
  }
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>, of: (x: number) => number = (x) => x): number {
  let sum = 0;
  for (let i = 0; i < b.length; i++) sum += of(a[i]! * b[i]!);
  return sum;
}

function silu(x: number): number {
  return x / (1 + Math.exp(-x));
}
