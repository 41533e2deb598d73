/**
 * What kernel tests share: one device, random inputs, and the tolerance rule.
 *
 * @module
 */
import { assert } from "@std/assert";
import { Gpu } from "../../src/gpu/device.ts";
import type { Tensor } from "../../src/gpu/tensor.ts";

/** The device that all tests of a process use. Without an adapter, its error fails them all. */
export const gpu: Gpu = await Gpu.request();

/** Deterministic numbers in [-1, 1), the same on every machine (mulberry32). */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 31 - 1;
  };
}

/** `length` random f32 values in [-scale, scale). */
export function randomFloats(length: number, seed: number, scale: number = 1): Float32Array<ArrayBuffer> {
  const next = random(seed);
  return Float32Array.from({ length }, () => next() * scale);
}

/** A GPU copy of f32 values. */
export function upload(label: string, values: Float32Array<ArrayBuffer>, shape: readonly number[]): Tensor {
  return gpu.tensorOf(label, "f32", shape, values);
}

/** A GPU tensor's f32 values. */
export async function download(tensor: Tensor): Promise<Float32Array> {
  return new Float32Array((await gpu.read(tensor)).buffer);
}

/** Largest absolute difference; not finite anywhere counts as infinite. */
export function maxError(actual: ArrayLike<number>, exact: ArrayLike<number>): number {
  assert(actual.length >= exact.length, `Expected ${exact.length} values, got ${actual.length}`);
  let worst = 0;
  for (let i = 0; i < exact.length; i++) {
    const error = Math.abs(actual[i]! - exact[i]!);
    worst = error >= 0 ? Math.max(worst, error) : Infinity;
  }
  return worst;
}

/**
 * flash-attention's rule: a kernel may be off from the f64 twin by twice what the naive f32 twin is off.
 *
 * @param actual The kernel's output.
 * @param exact The f64 twin's.
 * @param naive The same formula with every intermediate rounded to f32, or at least on f32-rounded operands.
 * @param tiny Absolute slack for outputs where the naive twin happens to be exact. Default 1e-6 of the largest output.
 */
export function assertWithinReference(
  actual: ArrayLike<number>,
  exact: ArrayLike<number>,
  naive: ArrayLike<number>,
  tiny?: number,
): void {
  let largest = 0;
  for (let i = 0; i < exact.length; i++) largest = Math.max(largest, Math.abs(exact[i]!));
  const allowed = 2 * maxError(naive, exact) + (tiny ?? 1e-6 * largest);
  const error = maxError(actual, exact);
  assert(error <= allowed, `Error ${error} is over the allowed ${allowed}`);
}
