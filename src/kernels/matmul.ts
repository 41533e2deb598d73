/**
 * Products with weight matrices: one vector at a time in decode, many in prefill.
 *
 * @module
 */
import { defineKernel, type Kernel } from "../gpu/kernel.ts";
import { GROUP, type Matrix } from "../gpu/matrix.ts";
import type { AdapterTraits, Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import * as wgsl from "../../wgsl/mod.ts";
import { formatConstants, formatFamily, formatSource } from "./formats.ts";
import { hasMatvec, matvec, PRODUCT_PARAMS, productVariantOf, productWith } from "./matvec.ts";

type Bindings = "weight" | "scales" | "x" | "bias" | "out";
const BINDINGS = { weight: "read", scales: "read", x: "read", bias: "read", out: "read_write" } as const;
const PARAMS = { ...PRODUCT_PARAMS, n_rows: "u32", out_stride: "u32" } as const;
type Params = keyof typeof PARAMS;

type DirectNames = "LOADS" | "QUADS" | "TAIL" | "ROWS" | "PER_OUTPUT" | "TOKENS" | "AT_ONCE" | "TOUCHES";

const matmulDirect = formatFamily((format): Kernel<Bindings, Params, DirectNames> =>
  defineKernel({
    name: `matmul_direct.${format}`,
    source: [...formatSource(format), wgsl.shared_silu, wgsl.matmul_direct],
    constants: ["LOADS", "QUADS", "TAIL", "ROWS", "PER_OUTPUT", "TOKENS", "AT_ONCE", "TOUCHES"],
    bindings: BINDINGS,
    params: PARAMS,
    subgroups: true,
    workgroups: ({ rows, n_rows }, { ROWS, TOKENS }) => [Math.ceil(rows / (8 * ROWS)), Math.ceil(n_rows / TOKENS)],
    cost: ({ rows, groups, n_rows }) => rows * groups * GROUP * n_rows,
  })
);

const matmulPlain = formatFamily((format): Kernel<Bindings, Params, "LOADS" | "QUADS" | "TAIL" | "ROWS" | "TOKENS"> =>
  defineKernel({
    name: `matmul_plain.${format}`,
    source: [...formatSource(format), wgsl.matmul_plain],
    constants: ["LOADS", "QUADS", "TAIL", "ROWS", "TOKENS"],
    bindings: BINDINGS,
    params: PARAMS,
    workgroups: ({ rows, n_rows }, { ROWS, TOKENS }) => [Math.ceil(rows / (8 * ROWS)), Math.ceil(n_rows / TOKENS)],
    cost: ({ rows, groups, n_rows }) => rows * groups * GROUP * n_rows,
  })
);

const matmulTiled = formatFamily((format): Kernel<Bindings, Params, "LOADS" | "QUADS" | "TAIL"> =>
  defineKernel({
    name: `matmul_tiled.${format}`,
    source: [...formatSource(format), wgsl.matmul_tiled],
    constants: ["LOADS", "QUADS", "TAIL"],
    bindings: BINDINGS,
    params: PARAMS,
    workgroups: ({ rows, n_rows }) => [Math.ceil(rows / 64), Math.ceil(n_rows / 64)],
    cost: ({ rows, groups, n_rows }) => rows * groups * GROUP * n_rows,
  })
);

/** Operands of `matmul`. */
export interface Matmul {
  /** Input vectors: (at least xOffset + nRows, matrix.columns) f32. */
  readonly x: Tensor;
  /** First row of `x` to use. Default 0. */
  readonly xOffset?: number;
  /** The weights W: (rows, columns), columns a multiple of 4. */
  readonly matrix: Matrix;
  /** Added to each output: (matrix.rows) f32. Default none. */
  readonly bias?: Tensor | undefined;
  /** Output: (nRows, outStride) f32. */
  readonly out: Tensor;
  /** Column of `out` where the first matrix row goes. Default 0. */
  readonly outOffset?: number;
  /** Columns of `out`. Default matrix.rows, or half as many if `gated`. */
  readonly outStride?: number;
  /** Number of vectors. */
  readonly nRows: number;
  /** Whether to add to what `out` holds. Default false. */
  readonly add?: boolean;
  /**
   * Whether the rows are gate rows, then as many up rows, and silu(gate) * up the output, of half as many columns. Only
   * where `canGate`. Default false.
   */
  readonly gated?: boolean;
}

/** Whether a product with `nRows` vectors can be `gated`: a gate row and its up row must be in one binding. */
export function canGate(traits: AdapterTraits, { parts }: Matrix, nRows: number): boolean {
  const hasKernel = nRows === 1 ? hasMatvec(traits) : productVariantOf(traits) === "direct";
  return hasKernel && parts.length === 1;
}

/**
 * Records out[r][outOffset + o] (+)= sum_k W[o][k] x[xOffset + r][k] + bias[o], in f32 throughout.
 *
 * An output has the same bits whatever the number of vectors, as long as there are two or more of them.
 *
 * @throws {RangeError} If the number of columns is no multiple of 4.
 */
export function matmul(recorder: Recorder, operands: Matmul): void {
  const { x, xOffset = 0, matrix, bias, out, outOffset = 0, nRows, add = false, gated = false } = operands;
  const PER_OUTPUT = gated ? 2 : 1;
  const { outStride = matrix.rows / PER_OUTPUT } = operands;
  const { columns, groups } = matrix;
  if (columns % 4 !== 0) {
    throw new RangeError(`Cannot multiply by a matrix of ${columns} columns: their number must be a multiple of 4`);
  }
  const { traits } = recorder;
  const variant = productVariantOf(traits);
  if (nRows === 1 && hasMatvec(traits)) {
    matvec(recorder, { x, xOffset, matrix, gated, bias, out, outOffset, add });
    return;
  }
  for (const part of matrix.parts) {
    const product = productWith(part, { x, xOffset, matrix, bias, out, outOffset, add });
    const { buffers } = product;
    const params = { ...product.params, n_rows: nRows, out_stride: outStride };
    const { format } = part;
    const constants = { ...formatConstants(format), TAIL: columns !== groups * GROUP };
    if (variant === "subgroup" || variant === "shared") {
      recorder.dispatch(matmulTiled[format], buffers, params, constants);
    } else if (variant === "direct") {
      // Few vectors spread their quads over the lanes; their sums have the same bits.
      const TOKENS = nRows <= 2 ? 2 : nRows <= 4 ? 4 : 8;
      const tile = { ROWS: 4, PER_OUTPUT, TOKENS, AT_ONCE: Math.min(8 / TOKENS, constants.QUADS) };
      recorder.dispatch(matmulDirect[format], buffers, params, {
        ...{ ...constants, ...tile, TOUCHES: constants.LOADS <= 2 ? 1 : 0 },
      });
    } else {
      const tile = nRows === 1 ? { ROWS: 4, TOKENS: 1 } : { ROWS: 2, TOKENS: 8 };
      recorder.dispatch(matmulPlain[format], buffers, params, { ...constants, ...tile });
    }
  }
}
