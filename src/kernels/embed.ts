/**
 * The embedding: rows of a table that tokens name.
 *
 * @module
 */
import { defineKernel, type Kernel } from "../gpu/kernel.ts";
import { type Matrix, WEIGHT_FORMATS, type WeightFormat } from "../gpu/matrix.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import * as wgsl from "../../wgsl/mod.ts";
import { formatConstants, formatSource } from "./formats.ts";

type Embedding = Kernel<
  "weight" | "scales" | "tokens" | "out",
  "row_begin" | "rows" | "groups" | "columns4" | "tokens_begin" | "n_tokens" | "out_row",
  "LOADS" | "QUADS"
>;

const kernels = Object.fromEntries(WEIGHT_FORMATS.map((format): [WeightFormat, Embedding] => [
  format,
  defineKernel({
    name: `embed.${format}`,
    source: [...formatSource(format), wgsl.embed],
    constants: ["LOADS", "QUADS"],
    bindings: { weight: "read", scales: "read", tokens: "read", out: "read_write" },
    params: {
      row_begin: "u32",
      rows: "u32",
      groups: "u32",
      columns4: "u32",
      tokens_begin: "u32",
      n_tokens: "u32",
      out_row: "u32",
    },
    workgroups: ({ n_tokens, groups }) => [n_tokens, Math.ceil(groups / 8)],
    cost: ({ n_tokens, columns4 }) => n_tokens * columns4 * 4,
  }),
])) as Readonly<Record<WeightFormat, Embedding>>;

/** Operands of `embed`. */
export interface Embed {
  /** Token ids, each below table.rows: (at least tokensOffset + nTokens) u32. */
  readonly tokens: Tensor;
  /** First token to embed. Default 0. */
  readonly tokensOffset?: number;
  /** The embedding table: (vocab, hidden), hidden a multiple of 4. */
  readonly table: Matrix;
  /** Output: (at least firstRow + nTokens, hidden) f32. */
  readonly out: Tensor;
  /** Number of tokens. */
  readonly nTokens: number;
  /** Row of `out` where the first token goes. Default 0. */
  readonly firstRow?: number;
}

/**
 * Records out[firstRow + t] = table[tokens[tokensOffset + t]] for each token. A token outside the table leaves its row as it was.
 *
 * @throws {RangeError} If the number of columns is no multiple of 4.
 */
export function embed(
  recorder: Recorder,
  { tokens, tokensOffset = 0, table, out, nTokens, firstRow = 0 }: Embed,
): void {
  const { columns, groups } = table;
  if (columns % 4 !== 0) {
    throw new RangeError(`Cannot gather rows of ${columns} columns: their number must be a multiple of 4`);
  }
  for (const { format, rowBegin, rows, weight, scales } of table.parts) {
    recorder.dispatch(kernels[format], { weight, scales, tokens, out }, {
      row_begin: rowBegin,
      rows,
      groups,
      columns4: columns / 4,
      tokens_begin: tokensOffset,
      n_tokens: nTokens,
      out_row: firstRow,
    }, formatConstants(format));
  }
}
