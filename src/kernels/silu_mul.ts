/**
 * The gate of a gated MLP.
 *
 * @module
 */
import { defineKernel, type Kernel } from "../gpu/kernel.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import * as wgsl from "../../wgsl/mod.ts";

const kernel: Kernel<"gate_up" | "out", "n4" | "dim4"> = defineKernel({
  name: "silu_mul",
  source: [wgsl.silu_mul],
  constants: [],
  bindings: { gate_up: "read", out: "read_write" },
  params: { n4: "u32", dim4: "u32" },
  workgroups: ({ n4 }) => {
    const groups = Math.ceil(n4 / 64);
    return [Math.min(groups, 32768), Math.ceil(groups / 32768)];
  },
  cost: ({ n4 }) => n4 * 16,
});

/** Operands of `siluMul`. */
export interface SiluMul {
  /** Each token's gate, then its up projection: (nTokens, 2 * dim) f32. */
  readonly gateUp: Tensor;
  /** Output: (nTokens, dim) f32. */
  readonly out: Tensor;
  /** Number of tokens. */
  readonly nTokens: number;
  /** Intermediate size of the MLP, a multiple of 4. */
  readonly dim: number;
}

/** Records out = silu(gate) * up. */
export function siluMul(recorder: Recorder, { gateUp, out, nTokens, dim }: SiluMul): void {
  recorder.dispatch(kernel, { gate_up: gateUp, out }, { n4: nTokens * dim / 4, dim4: dim / 4 }, {});
}
