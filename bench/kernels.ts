/**
 * Measures the weight-matrix kernels against the adapter's own ceilings: GB/s of weights and activations for one
 * vector, GFLOP/s for many. Run alone, it prints JSON.
 *
 * @module
 */
import { Gpu } from "../src/gpu/device.ts";
import {
  createMatrix,
  disposeMatrix,
  GROUP,
  groupsPerRow,
  type Matrix,
  matrixBytes,
  type WeightFormat,
} from "../src/gpu/matrix.ts";
import type { Recorder } from "../src/gpu/recorder.ts";
import type { Tensor } from "../src/gpu/tensor.ts";
import { embed } from "../src/kernels/embed.ts";
import { matmul } from "../src/kernels/matmul.ts";
import { siluMul } from "../src/kernels/silu_mul.ts";
import { type Ceilings, measure, measureCeilings } from "./ceilings.ts";

/** One measurement. */
export interface KernelRow {
  /** Kernel and variant, as its pipeline is labelled. */
  readonly kernel: string;
  /** Rows x columns of the matrix, and the number of vectors where there are several. */
  readonly shape: string;
  /** Median time of a dispatch in milliseconds. */
  readonly ms: number;
  /** Best time of a dispatch in milliseconds; the rates are by this one, as the ceilings are. */
  readonly bestMs: number;
  /** 10^9 bytes a second that have to be read or written, for kernels that memory bounds. */
  readonly gbPerS?: number;
  /** 10^9 operations a second, a multiply-add counted as two, for kernels that arithmetic bounds. */
  readonly gflopPerS?: number;
  /** Operations of a dispatch, a multiply-add counted as two, where they are counted. */
  readonly flops?: number;
  /** Bytes that a dispatch has to read or write, where they are counted. */
  readonly bytes?: number;
  /** Rate by ceiling. */
  readonly shareOfCeiling: number;
}

/** A matrix shape of a model. */
export interface MatrixShape {
  /** Model and use. */
  readonly name: string;
  /** Output extent. */
  readonly rows: number;
  /** Input extent. */
  readonly columns: number;
}

/** The shapes measured; those of Llama-2-7B with fewer rows, which change nothing but the time it takes. */
export const SHAPES: readonly MatrixShape[] = [
  { name: "SmolLM2-135M qkv", rows: 960, columns: 576 },
  { name: "SmolLM2-135M o", rows: 576, columns: 576 },
  { name: "SmolLM2-135M gate, up", rows: 3072, columns: 576 },
  { name: "SmolLM2-135M down", rows: 576, columns: 1536 },
  { name: "SmolLM2-135M head", rows: 49152, columns: 576 },
  { name: "Llama-2-7B qkv, part", rows: 2048, columns: 4096 },
  { name: "Llama-2-7B down, part", rows: 1024, columns: 11008 },
  { name: "Llama-2-7B head, part", rows: 4000, columns: 4096 },
];

/** Formats measured for one vector; a matrix in those of GGUF's K-quants has rows of whole blocks. */
export const VECTOR_FORMATS: readonly WeightFormat[] = ["q4", "q4m", "q4k", "q6k", "q8", "f16"];

/** Formats measured for many vectors. */
export const MATRIX_FORMATS: readonly WeightFormat[] = ["q4", "f16"];

/** Vectors in a product with many. */
export const N_ROWS = 128;

/** Vectors in a product with few: a pass of several sequences, or guesses to verify. */
export const FEW_ROWS = 8;

/** A matrix with all scales and weights nonzero: time must not depend on lucky zeros. */
export function filledMatrix(gpu: Gpu, shape: MatrixShape, format: WeightFormat): Matrix {
  const matrix = createMatrix(gpu, shape.name, shape.rows, shape.columns, format);
  for (const { weight, scales } of matrix.parts) {
    for (const tensor of [weight, scales]) {
      // 0x2c662c66 is two f16 of about 0.069, and bytes and nibbles of different sizes.
      gpu.upload(tensor, new Uint32Array(tensor.byteLength / 4).fill(0x2c662c66));
    }
  }
  return matrix;
}

/** An f32 tensor of numbers near one. */
export function filledTensor(gpu: Gpu, shape: readonly number[]): Tensor {
  const length = shape.reduce((product, extent) => product * extent, 1);
  return gpu.tensorOf("x", "f32", shape, Float32Array.from({ length }, (_, i) => 0.5 + (i % 7) / 7));
}

/** Measures all kernels of this module, matrices of the given shapes. Needs timestamps. */
export async function measureKernels(
  gpu: Gpu,
  ceilings: Ceilings,
  shapes: readonly MatrixShape[] = SHAPES,
): Promise<KernelRow[]> {
  const rows: KernelRow[] = [];
  for (const shape of shapes) {
    for (const format of VECTOR_FORMATS) {
      if (groupsPerRow(format, shape.columns) !== Math.ceil(shape.columns / GROUP)) continue;
      rows.push(await measureMatmul(gpu, ceilings, shape, format, 1));
    }
  }
  for (const shape of shapes.filter(({ name }) => !name.includes("head"))) {
    for (const nRows of [FEW_ROWS, N_ROWS]) {
      for (const format of MATRIX_FORMATS) rows.push(await measureMatmul(gpu, ceilings, shape, format, nRows));
    }
  }
  rows.push(await measureEmbed(gpu, ceilings), await measureSiluMul(gpu, ceilings));
  return rows;
}

async function measureMatmul(
  gpu: Gpu,
  ceilings: Ceilings,
  shape: MatrixShape,
  format: WeightFormat,
  nRows: number,
): Promise<KernelRow> {
  const { rows, columns } = shape;
  const bytes = matrixBytes(rows, columns, format, gpu.maxTensorBytes);
  // Decoding meets every matrix once a token, out of the cache: so many copies take turns that none stays in it.
  const beyondCache = (gpu.isSoftware ? 48 : 256) * 2 ** 20;
  const copies = nRows < N_ROWS ? Math.min(64, Math.ceil(beyondCache / bytes)) : 1;
  const matrices = Array.from({ length: copies }, () => filledMatrix(gpu, shape, format));
  using x = filledTensor(gpu, [nRows, columns]);
  using out = gpu.createTensor("out", "f32", [nRows, rows]);
  try {
    const recorder = gpu.record();
    for (const matrix of matrices) matmul(recorder, { x, matrix, out, nRows });
    const times = await measure(gpu, recorder);
    const kernel = labelOf(recorder);
    const label = `${shape.name}: ${rows} x ${columns}`;
    const work = { flops: 2 * rows * columns * nRows, bytes: bytes + 4 * (rows + columns) * nRows };
    if (nRows === 1) {
      const gbPerS = work.bytes / times.bestMs / 1e6;
      return { kernel, shape: label, ...times, ...work, gbPerS, shareOfCeiling: gbPerS / ceilings.copyGbPerS };
    }
    const gflopPerS = work.flops / times.bestMs / 1e6;
    return {
      kernel,
      shape: `${label}, ${nRows} vectors`,
      ...times,
      ...work,
      gflopPerS,
      shareOfCeiling: gflopPerS / ceilings.fmaGflopPerS,
    };
  } finally {
    for (const matrix of matrices) disposeMatrix(matrix);
  }
}

async function measureEmbed(gpu: Gpu, ceilings: Ceilings): Promise<KernelRow> {
  const shape: MatrixShape = { name: "SmolLM2-135M embedding", rows: 49152, columns: 576 };
  const nTokens = 512;
  const table = filledMatrix(gpu, shape, "q8");
  using tokens = gpu.tensorOf("tokens", "u32", [nTokens], Uint32Array.from({ length: nTokens }, (_, i) => i * 96));
  using out = gpu.createTensor("out", "f32", [nTokens, shape.columns]);
  try {
    const recorder = gpu.record();
    embed(recorder, { tokens, table, out, nTokens });
    const times = await measure(gpu, recorder);
    const bytes = out.byteLength + matrixBytes(nTokens, shape.columns, "q8", gpu.maxTensorBytes);
    const gbPerS = bytes / times.bestMs / 1e6;
    return {
      kernel: labelOf(recorder),
      shape: `${nTokens} x ${shape.columns}`,
      ...times,
      gbPerS,
      shareOfCeiling: gbPerS / ceilings.copyGbPerS,
    };
  } finally {
    disposeMatrix(table);
  }
}

async function measureSiluMul(gpu: Gpu, ceilings: Ceilings): Promise<KernelRow> {
  const [nTokens, dim] = [512, 1536];
  using gateUp = filledTensor(gpu, [nTokens, 2 * dim]);
  using out = gpu.createTensor("out", "f32", [nTokens, dim]);
  const recorder = gpu.record();
  siluMul(recorder, { gateUp, out, nTokens, dim });
  const times = await measure(gpu, recorder);
  const gbPerS = (gateUp.byteLength + out.byteLength) / times.bestMs / 1e6;
  return {
    kernel: labelOf(recorder),
    shape: `${nTokens} x ${dim}`,
    ...times,
    gbPerS,
    shareOfCeiling: gbPerS / ceilings.copyGbPerS,
  };
}

function labelOf(recorder: Recorder): string {
  const step = recorder.steps[0]!;
  return "kernel" in step ? step.kernel.name : "copy";
}

if (import.meta.main) {
  using gpu = await Gpu.request();
  const ceilings = await measureCeilings(gpu);
  console.log(JSON.stringify({ adapter: gpu.name, ceilings, kernels: await measureKernels(gpu, ceilings) }, null, 2));
}
