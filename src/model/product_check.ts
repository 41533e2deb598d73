/**
 * Known answers for a product with a weight matrix: sampled rows of it, recomputed on the host.
 *
 * Weights are known by the embedding kernel, which only unpacks them: where all products with a matrix disagree with
 * it, it is the one that is wrong.
 *
 * @module
 */
import type { Gpu } from "../gpu/device.ts";
import type { Matrix } from "../gpu/matrix.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { embed } from "../kernels/embed.ts";
import { matmul } from "../kernels/matmul.ts";
import { normGatedMatmul, normMatmul } from "../kernels/norm_matmul.ts";
import { dot, silu } from "./host_answers.ts";
import type { Runtime } from "./runtime.ts";
import type { Scratch } from "./scratch.ts";
import { type Check, kernelsOf, type Read, type Snapshots, wrongKernel } from "./snapshots.ts";

/**
 * Vectors of a product: a decoded token's, and a tile of a chunk. Tiles of 2 and 4 vectors, for few sequences on a
 * software adapter, are the same kernel; most runs never compile them, and a load would wait 0.2 s for each.
 */
const COUNTS = [1, 8];

/** A product with one matrix, as the forward pass has it. */
export interface Product {
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
  /** Whether only its product with a single vector is checked. */
  readonly isSingle?: boolean;
}

/** Rows that are recomputed. */
interface Samples {
  /** Outputs: rows of the matrix, or of its gate rows. */
  readonly outputs: readonly number[];
  /** Rows of the matrix: the outputs, or the gate rows and then the up rows. */
  readonly rows: readonly number[];
  /** Columns of the output. */
  readonly width: number;
}

/** Where the results for one number of vectors are kept; -1 for what has no dispatch of its own. */
interface Outcome {
  readonly nRows: number;
  /** Name of each part's kernel. */
  readonly kernels: readonly string[];
  /** Normalised input: (nRows, columns). */
  readonly normed: number;
  /** Gate and up products: (nRows, rows of the samples). */
  readonly gateUp: number;
  /** Outputs: (nRows, outputs of the samples). */
  readonly out: number;
}

/** Where what a product is made of is kept; -1 for what it has not. */
interface Operands {
  /** Name of the kernel that unpacks each part. */
  readonly unpacking: readonly string[];
  /** Weights: (rows of the samples, columns). */
  readonly weights: number;
  /** Gain of the norm: (columns). */
  readonly gain: number;
  /** Biases: (rows of the samples). */
  readonly bias: number;
}

/** Where the sampled rows of a product's matrix are unpacked. */
export interface Unpacking {
  /** Rows of all products' samples. */
  readonly ids: Tensor;
  /** Where this product's begin. */
  readonly idsOffset: number;
  /** Weights: at least (rows of the samples, columns). */
  readonly unpacked: Tensor;
}

/** Rows of a product's matrix that its check unpacks. */
export function sampledRows(product: Product): readonly number[] {
  return samplesOf(product).rows;
}

/** A check of one product, for one vector and for several. */
export function productCheck(
  { gpu, config: { rmsNormEps: eps }, prefillChunk, maxBatch }: Runtime,
  scratch: Scratch,
  product: Product,
  unpacking: Unpacking,
): Check {
  const { matrix: { columns } } = product;
  const samples = samplesOf(product);
  const most = product.isSingle === true ? 1 : Math.max(prefillChunk, maxBatch);
  const counts = [...new Set(COUNTS.map((count) => Math.min(count, most)))];
  const nVectors = counts.reduce((sum, count) => sum + count, 0);
  return {
    nRandom: counts.at(-1)! * (product.adds ? Math.max(columns, samples.width) : columns),
    nKept: nVectors * (columns + samples.outputs.length + samples.rows.length) +
      (samples.rows.length + 1) * (columns + 1),
    record: (recorder, snapshots) => {
      const outcomes = counts.map((nRows) =>
        recordProduct(recorder, snapshots, { product, samples, scratch, eps, nRows })
      );
      const operands = recordOperands(recorder, snapshots, product, samples, unpacking);
      return (read) => compareProduct(gpu, { product, samples, outcomes, operands, eps, snapshots, read });
    },
  };
}

/** The first row, the last one and one between of each part. */
function samplesOf({ matrix, isGated = false }: Product): Samples {
  const width = isGated ? matrix.rows / 2 : matrix.rows;
  const sampled = matrix.parts.flatMap(({ rowBegin, rows }) =>
    [0, 7919 % rows, rows - 1].map((row) => (rowBegin + row) % width)
  );
  const outputs = [...new Set(sampled)];
  return { outputs, rows: isGated ? [...outputs, ...outputs.map((row) => row + width)] : outputs, width };
}

function recordProduct(
  recorder: Recorder,
  snapshots: Snapshots,
  { product, samples: { outputs, rows, width }, scratch: { normed, gateUp }, eps, nRows }: {
    readonly product: Product;
    readonly samples: Samples;
    readonly scratch: Scratch;
    readonly eps: number;
    readonly nRows: number;
  },
): Outcome {
  const { matrix, bias, x, gain, isGated = false, adds = false, out } = product;
  snapshots.randomize(recorder, x, nRows * matrix.columns);
  if (adds) snapshots.randomize(recorder, out, nRows * width);
  const operands = { x, normed, matrix, bias, out, nRows };
  const names = kernelsOf(recorder, () => {
    if (isGated) normGatedMatmul(recorder, { ...operands, gain: gain!, eps, gateUp });
    else if (gain !== undefined) normMatmul(recorder, { ...operands, gain, eps });
    else matmul(recorder, { ...operands, add: adds });
  });
  // A number at a time: of a vocabulary, whole rows would take megabytes.
  const keep = (tensor: Tensor, stride: number, columns: readonly number[]) => {
    const places = Array.from({ length: nRows }, (_, row) => columns.map((column) => row * stride + column)).flat();
    const [first] = places.map((place) => snapshots.keep(recorder, tensor, 1, place));
    return first!;
  };
  // Whether the norm and the gate have dispatches of their own depends on the adapter.
  return {
    ...{ nRows, kernels: names.filter((name) => name.startsWith("mat")) },
    normed: names.includes("rms_norm") ? snapshots.keep(recorder, normed, nRows * matrix.columns) : -1,
    gateUp: names.includes("silu_mul") ? keep(gateUp, matrix.rows, rows) : -1,
    out: keep(out, width, outputs),
  };
}

function recordOperands(
  recorder: Recorder,
  snapshots: Snapshots,
  { matrix, bias, gain }: Product,
  { rows }: Samples,
  { ids: tokens, idsOffset: tokensOffset, unpacked: out }: Unpacking,
): Operands {
  const nTokens = rows.length;
  const unpacking = kernelsOf(recorder, () => embed(recorder, { tokens, tokensOffset, table: matrix, out, nTokens }));
  const [firstBias = -1] = bias === undefined ? [] : rows.map((row) => snapshots.keep(recorder, bias, 1, row));
  return {
    unpacking,
    weights: snapshots.keep(recorder, out, nTokens * matrix.columns),
    gain: gain === undefined ? -1 : snapshots.keep(recorder, gain, matrix.columns),
    bias: firstBias,
  };
}

/** What a comparison reads. */
interface Results {
  readonly product: Product;
  readonly samples: Samples;
  readonly outcomes: readonly Outcome[];
  readonly operands: Operands;
  readonly eps: number;
  readonly snapshots: Snapshots;
  readonly read: Read;
}

function compareProduct(gpu: Gpu, results: Results): void {
  const { product: { matrix: { parts } }, outcomes, operands: { unpacking } } = results;
  const wrongRows = outcomes.map((outcome) => {
    const rows: number[] = [];
    for (let row = 0; row < outcome.nRows; row++) rows.push(...wrongRowsOf(gpu, results, outcome, row));
    return rows;
  });
  for (const [i, { rowBegin, rows }] of parts.entries()) {
    const wrong = outcomes.filter((_, at) => wrongRows[at]!.some((row) => row >= rowBegin && row < rowBegin + rows));
    if (wrong.length === 0) continue;
    const named = [...new Set(wrong.map(({ kernels }) => kernels[i]!))];
    if (wrong.length < outcomes.length) throw wrongKernel(gpu.name, [named[0]!]);
    // Two kernels that both disagree with a third are right.
    throw wrongKernel(gpu.name, named.length > 1 ? [unpacking[i]!] : [named[0]!, unpacking[i]!]);
  }
}

/** Rows of the matrix whose products with one vector are wrong. */
function wrongRowsOf(gpu: Gpu, results: Results, outcome: Outcome, row: number): number[] {
  const { product, samples: { outputs, rows, width }, operands, snapshots, read } = results;
  const { matrix: { columns }, isGated = false, adds = false } = product;
  const input = inputOf(gpu, results, outcome, row);
  const products = rows.map((_, i) => {
    const { sum, size } = dot(read(operands.weights + i * columns, columns), input);
    return { value: sum + (operands.bias < 0 ? 0 : read(operands.bias, rows.length)[i]!), allowed: 1e-4 * size };
  });
  // Of weights as large as this, sums are infinite on the best adapter.
  const isUsable = ({ allowed }: { allowed: number }) => allowed < 1e26;
  const isOff = (actual: number, { value, allowed }: { value: number; allowed: number }) =>
    !(Math.abs(actual - value) <= allowed + 1e-6);
  const actual = read(outcome.out + row * outputs.length, outputs.length);
  if (!isGated) {
    const before = (output: number) => adds ? snapshots.random(row * width + output, 1)[0]! : 0;
    return rows.filter((output, i) => {
      const { value, allowed } = products[i]!;
      return isUsable(products[i]!) && isOff(actual[i]!, { value: value + before(output), allowed });
    });
  }
  if (outcome.gateUp >= 0) {
    const gateUp = read(outcome.gateUp + row * rows.length, rows.length);
    outputs.forEach((_, i) => {
      const up = i + outputs.length;
      if (!isUsable(products[i]!) || !isUsable(products[up]!)) return;
      const value = silu(gateUp[i]!) * gateUp[up]!;
      if (isOff(actual[i]!, { value, allowed: 1e-4 * (1 + Math.abs(value)) })) {
        throw wrongKernel(gpu.name, ["silu_mul"]);
      }
    });
    return rows.filter((_, i) => isUsable(products[i]!) && isOff(gateUp[i]!, products[i]!));
  }
  return outputs.filter((_, i) => {
    const [gate, up] = [products[i]!, products[i + outputs.length]!];
    if (!isUsable(gate) || !isUsable(up)) return false;
    const allowed = 1.2 * gate.allowed * Math.abs(up.value) + up.allowed * Math.abs(silu(gate.value));
    return isOff(actual[i]!, { value: silu(gate.value) * up.value, allowed });
  });
}

/** The vector that is multiplied: as it is, or normalised. */
function inputOf(gpu: Gpu, { product, operands, eps, snapshots, read }: Results, { normed }: Outcome, row: number) {
  const { columns } = product.matrix;
  const input = Float64Array.from(snapshots.random(row * columns, columns));
  if (operands.gain < 0) return input;
  const scale = 1 / Math.sqrt(dot(input, input).sum / columns + eps);
  const gain = read(operands.gain, columns);
  const expected = input.map((value, i) => value * scale * gain[i]!);
  if (normed < 0) return expected;
  const actual = read(normed + row * columns, columns);
  if (!expected.every((value, i) => Math.abs(actual[i]! - value) <= 1e-5 * (1 + Math.abs(value)))) {
    throw wrongKernel(gpu.name, ["rms_norm"]);
  }
  return expected;
}
