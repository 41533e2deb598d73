/**
 * Checks of operations on the GPU: random inputs for them, and what these leave, kept from one operation to the next, so
 * that many are checked by one submit.
 *
 * @module
 */
import { ShaderError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";

/** Reads what was kept: `length` numbers from index `begin` on. */
export type Read = (begin: number, length: number) => Float32Array;

/** One check, of one operation or of several. */
export interface Check {
  /** Random numbers that it takes. */
  readonly nRandom: number;
  /** Numbers that it keeps at most. */
  readonly nKept: number;
  /**
   * Records the operations.
   *
   * @returns Compares their results with the host's, and throws a `ShaderError` that names a wrong kernel.
   */
  record(recorder: Recorder, snapshots: Snapshots): (read: Read) => void;
}

/** Runs checks in one submit, and compares their results in the order in which they stand. */
export async function runChecks(gpu: Gpu, checks: readonly Check[]): Promise<void> {
  using snapshots = await Snapshots.of(gpu, checks);
  const recorder = gpu.record();
  const comparisons = checks.map((check) => check.record(recorder, snapshots));
  const read = await snapshots.run(recorder);
  for (const compare of comparisons) compare(read);
}

/** See the module's description. */
export class Snapshots {
  readonly #gpu: Gpu;
  readonly #values: Float32Array<ArrayBuffer>;
  readonly #source: Tensor;
  readonly #kept: Tensor;
  #length = 0;

  private constructor(gpu: Gpu, values: Float32Array<ArrayBuffer>, source: Tensor, kept: Tensor) {
    this.#gpu = gpu;
    this.#values = values;
    this.#source = source;
    this.#kept = kept;
  }

  /** Makes room for checks. The random numbers in [-1, 1) are the same ones every time. */
  static async of(gpu: Gpu, checks: readonly Check[]): Promise<Snapshots> {
    const length = Math.max(...checks.map(({ nRandom }) => nRandom));
    const most = checks.reduce((sum, { nKept }) => sum + nKept, 0);
    let state = 1;
    const values = Float32Array.from({ length }, () => {
      state = Math.imul(state, 1664525) + 1013904223 | 0;
      return state / 2 ** 31;
    });
    return await gpu.allocate(() => {
      const source = gpu.tensorOf("random inputs", "f32", [length], values);
      return new Snapshots(gpu, values, source, gpu.createTensor("kept numbers", "f32", [most]));
    });
  }

  /** Random numbers, from one index on. */
  random(begin: number, length: number): Float32Array {
    return this.#values.subarray(begin, begin + length);
  }

  /** Records that a tensor gets random numbers from index `from` on. */
  randomize(recorder: Recorder, tensor: Tensor, length: number, from = 0): void {
    recorder.copy(this.#source, 4 * from, tensor, 0, 4 * length);
  }

  /** Records that elements of a tensor from `from` on are kept; gives the index where `run` has them. */
  keep(recorder: Recorder, tensor: Tensor, length: number, from = 0): number {
    recorder.copy(tensor, 4 * from, this.#kept, 4 * this.#length, 4 * length);
    this.#length += length;
    return this.#length - length;
  }

  /** Runs a recording and gives a reader of what was kept, by index and length. */
  async run(recorder: Recorder): Promise<Read> {
    const readback = this.#gpu.submit([recorder], [{ tensor: this.#kept, byteLength: 4 * this.#length }]);
    const values = new Float32Array((await readback.fetch()).buffer);
    await this.#gpu.settle();
    return (begin, length) => values.subarray(begin, begin + length);
  }

  /** Frees the memory. */
  [Symbol.dispose](): void {
    this.#source.dispose();
    this.#kept.dispose();
  }
}

/** Names of the kernels that `record` dispatches, in order. */
export function kernelsOf(recorder: Recorder, record: () => void): string[] {
  const begin = recorder.steps.length;
  record();
  return recorder.steps.slice(begin).flatMap((step) => "kernel" in step ? [step.kernel.name] : []);
}

/** The error of kernels of which one computes wrongly, the likeliest first. */
export function wrongKernel(device: string, kernels: readonly string[]): ShaderError {
  return new ShaderError(
    kernels[0]!,
    `Kernel ${kernels.join(" or ")} computes wrongly on ${device}: try another driver or adapter`,
  );
}
