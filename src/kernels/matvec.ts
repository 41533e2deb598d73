/**
 * Products of a weight matrix and one vector, for decode, with what stands before and after them in a layer: the norm
 * of the vector, and the gate of the MLP.
 *
 * @module
 */
import { defineKernel, type Kernel } from "../gpu/kernel.ts";
import { GROUP, type Matrix, type MatrixPart } from "../gpu/matrix.ts";
import type { AdapterTraits, Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import * as wgsl from "../../wgsl/mod.ts";
import { formatConstants, formatFamily, formatSource } from "./formats.ts";

type Bindings = "weight" | "scales" | "x" | "bias" | "gain" | "out";
type Names = "LOADS" | "QUADS" | "ROWS" | "PER_OUTPUT" | "NORM";
type MatvecKernel<C extends string> = Kernel<Bindings, keyof typeof PARAMS, Names | C>;

const BINDINGS = {
  weight: "read",
  scales: "read",
  x: "read",
  bias: "read",
  gain: "read",
  out: "read_write",
} as const;
/** Fields that `struct Params` of every product with a weight matrix begins with. */
export const PRODUCT_PARAMS = {
  rows: "u32",
  groups: "u32",
  columns4: "u32",
  x_begin4: "u32",
  out_begin: "u32",
  bias_begin: "u32",
  has_bias: "u32",
  add: "u32",
} as const;
const PARAMS = { ...PRODUCT_PARAMS, eps: "f32" } as const;
const NAMES = ["LOADS", "QUADS", "ROWS", "PER_OUTPUT", "NORM"] as const;

const direct = formatFamily((format): MatvecKernel<"TAIL" | "ODD" | "TOUCHES"> =>
  defineKernel({
    name: `matvec_direct.${format}`,
    source: [...formatSource(format), wgsl.shared_silu, wgsl.matvec_direct],
    constants: [...NAMES, "TAIL", "ODD", "TOUCHES"],
    bindings: BINDINGS,
    params: PARAMS,
    subgroups: true,
    workgroups: ({ rows }, { ROWS }) => [Math.ceil(rows / (8 * ROWS))],
    cost: ({ rows, groups }) => rows * groups * GROUP,
  })
);

/** matvec_shared, with the sum over lanes by subgroups or, where there are none, through workgroup memory alone. */
function sharedFamily(subgroups: boolean) {
  const addLanes = subgroups ? wgsl.shared_add_lanes_subgroup : wgsl.shared_add_lanes_none;
  return formatFamily((format): MatvecKernel<"LANES" | "SUBGROUP_LANES"> =>
    defineKernel({
      name: `matvec_shared.${format}${subgroups ? ".subgroup" : ""}`,
      source: [...formatSource(format), addLanes, wgsl.shared_silu, wgsl.matvec_shared],
      constants: [...NAMES, "LANES", "SUBGROUP_LANES"],
      bindings: BINDINGS,
      params: PARAMS,
      subgroups,
      workgroups: ({ rows }, { LANES, ROWS }) => [Math.ceil(rows / (128 / LANES * ROWS))],
      cost: ({ rows, groups }) => rows * groups * GROUP,
    })
  );
}

const subgroup = sharedFamily(true);
const shared = sharedFamily(false);

/** Lanes that walk along a row together: the most, of 32, 16 and 8, of which three quarters have work to the end. */
function lanesFor(loads: number): number {
  return [32, 16].find((lanes) => loads / (Math.ceil(loads / lanes) * lanes) >= 0.75) ?? 8;
}

/** Whether the adapter's subgroups are long enough for the kernels that use them. */
export function hasSubgroups({ subgroups, subgroupSize }: AdapterTraits): boolean {
  return subgroups && subgroupSize >= 8;
}

/** The variant of the products with weight matrices for an adapter. */
export function productVariantOf(traits: AdapterTraits): "direct" | "plain" | "subgroup" | "shared" {
  if (traits.isSoftware) return hasSubgroups(traits) ? "direct" : "plain";
  return hasSubgroups(traits) ? "subgroup" : "shared";
}

/** Whether `matvec` has a variant for the adapter. */
export function hasMatvec(traits: AdapterTraits): boolean {
  return productVariantOf(traits) !== "plain";
}

/** Operands that every product with a weight matrix has. */
export interface Product {
  /** Input: (at least xOffset + the number of vectors, matrix.columns) f32. */
  readonly x: Tensor;
  /** First row of `x` to use. */
  readonly xOffset: number;
  /** The weights W: (rows, columns), columns a multiple of 4. */
  readonly matrix: Matrix;
  /** Added to each row's product: (matrix.rows) f32. */
  readonly bias?: Tensor | undefined;
  /** Output; its shape is the operation's. */
  readonly out: Tensor;
  /** Index in a row of `out` where the first matrix row's goes. */
  readonly outOffset: number;
  /** Whether to add to what `out` holds. */
  readonly add: boolean;
}

/** Buffers and params of a product with one part of its matrix, for kernels with `PRODUCT_PARAMS`. */
export function productWith({ rowBegin, rows, weight, scales }: MatrixPart, product: Product): {
  readonly buffers: Readonly<Record<"weight" | "scales" | "x" | "bias" | "out", Tensor>>;
  readonly params: Readonly<Record<keyof typeof PRODUCT_PARAMS, number>>;
} {
  const { x, xOffset, matrix: { groups, columns }, bias, out, outOffset, add } = product;
  return {
    // Without a bias the kernel does not read the binding, which must hold some tensor nevertheless.
    buffers: { weight, scales, x, bias: bias ?? scales, out },
    params: {
      rows,
      groups,
      columns4: columns / 4,
      x_begin4: xOffset * columns / 4,
      out_begin: outOffset + rowBegin,
      bias_begin: rowBegin,
      has_bias: Number(bias !== undefined),
      add: Number(add),
    },
  };
}

/** Operands of `matvec`. */
export interface Matvec extends Product {
  /** The norm that the input goes through first: its gain, (matrix.columns) f32, and what is added to the mean square. */
  readonly norm?: { readonly gain: Tensor; readonly eps: number } | undefined;
  /** Whether the rows are gate rows, then as many up rows, and silu(gate) * up the output; of one part then. */
  readonly gated?: boolean;
  /** Output: (outOffset + matrix.rows) f32, or half as many rows if `gated`. */
  readonly out: Tensor;
}

/** Records the product, on adapters that `hasMatvec`. */
export function matvec(recorder: Recorder, operands: Matvec): void {
  const { x, norm, matrix, gated = false } = operands;
  const { columns, groups } = matrix;
  const { subgroupSize } = recorder.traits;
  const variant = productVariantOf(recorder.traits);
  for (const part of matrix.parts) {
    const { format } = part;
    const product = productWith(part, operands);
    const buffers = { ...product.buffers, gain: norm?.gain ?? x };
    const params = { ...product.params, eps: norm?.eps ?? 0 };
    const constants = {
      ...formatConstants(format),
      ROWS: 4,
      PER_OUTPUT: gated ? 2 : 1,
      NORM: norm !== undefined,
    };
    if (variant === "direct") {
      const shape = { TAIL: columns !== groups * GROUP, ODD: groups % 2 !== 0, TOUCHES: 1 };
      recorder.dispatch(direct[format], buffers, params, { ...constants, ...shape });
    } else {
      const subgroups = variant === "subgroup";
      const lanes = lanesFor(groups * constants.LOADS);
      recorder.dispatch((subgroups ? subgroup : shared)[format], buffers, params, {
        ...constants,
        LANES: lanes,
        SUBGROUP_LANES: subgroups ? Math.min(lanes, 2 ** Math.floor(Math.log2(subgroupSize))) : 1,
      });
    }
  }
}
