/**
 * Small kernels for tests of the GPU layer.
 *
 * @module
 */
import { defineKernel, type Kernel } from "../../src/gpu/kernel.ts";
import type { Tensor } from "../../src/gpu/tensor.ts";
import type { Gpu } from "../../src/gpu/device.ts";

/** values[i] = values[i] * FACTOR + addend, for the first n values; `cost` is how dear it claims to be. */
export function scaleKernel(cost: number = 1): Kernel<"values", "n" | "addend", "FACTOR"> {
  return defineKernel({
    name: "scale",
    source: [`
struct Params { n: u32, addend: f32 }
@group(0) @binding(0) var<storage, read_write> values: array<f32>;  // (n)
@group(0) @binding(1) var<uniform> params: Params;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < params.n) {
    values[id.x] = values[id.x] * f32(FACTOR) + params.addend;
  }
}`],
    constants: ["FACTOR"],
    bindings: { values: "read_write" },
    params: { n: "u32", addend: "f32" },
    workgroups: ({ n }) => [Math.ceil(n / 64)],
    cost: () => cost,
  });
}

/** A tensor's f32 values. */
export async function floats(gpu: Gpu, tensor: Tensor): Promise<number[]> {
  return [...new Float32Array((await gpu.read(tensor)).buffer)];
}
