/**
 * A recorder lists dispatches and copies. Nothing runs until the list is handed to `Gpu.submit` or `Gpu.run`, and
 * a list may run many times: that is how decoding spends no time on building commands.
 *
 * @module
 */
import type { Constants, Kernel } from "./kernel.ts";
import { packParams } from "./kernel.ts";
import { PARAMS_STRIDE, type Pipeline, type Pipelines } from "./pipelines.ts";
import type { Tensor } from "./tensor.ts";

/** One dispatch, ready to be encoded. */
export interface Dispatch {
  /** The kernel, for its name. */
  readonly kernel: Kernel;
  /** Its specialisation. */
  readonly pipeline: Pipeline;
  /** Storage buffers, and the uniform at a dynamic offset. */
  readonly bindGroup: GPUBindGroup;
  /** Byte offset of this dispatch's params in the recorder's params; -1 where the kernel has none. */
  readonly paramsOffset: number;
  /** Workgroups in x, y, z. */
  readonly grid: readonly [number, number, number];
  /** Work in multiply-adds. */
  readonly cost: number;
}

/** A copy between two buffers. */
export interface Copy {
  /** Marks the step as a copy. */
  readonly copy: true;
  /** Where the bytes come from. */
  readonly source: Tensor;
  /** First byte read. */
  readonly sourceOffset: number;
  /** Where the bytes go. */
  readonly target: Tensor;
  /** First byte written. */
  readonly targetOffset: number;
  /** Number of bytes. */
  readonly byteLength: number;
  /** Work in multiply-adds; a copied word counts as one. */
  readonly cost: number;
}

/** What operations choose between variants of a kernel by. */
export interface AdapterTraits {
  /** The adapter is a CPU: no shared memory to gain from, and barriers are dear. */
  readonly isSoftware: boolean;
  /** Subgroup builtins compile and run. */
  readonly subgroups: boolean;
  /** Lanes of the adapter's smallest subgroup; 0 where it does not say. */
  readonly subgroupSize: number;
}

/** A list of GPU steps. */
export class Recorder {
  /** What operations choose between variants of a kernel by. */
  readonly traits: AdapterTraits;
  readonly #pipelines: Pipelines;
  readonly #maxGrid: number;
  readonly #steps: (Dispatch | Copy)[] = [];
  #params: DataView<ArrayBuffer> = new DataView(new ArrayBuffer(64 * PARAMS_STRIDE));
  #paramsLength = 0;

  /** Made by `Gpu.record`. */
  constructor(pipelines: Pipelines, maxGrid: number, traits: AdapterTraits) {
    this.traits = traits;
    this.#pipelines = pipelines;
    this.#maxGrid = maxGrid;
  }

  /** The steps so far, in order. */
  get steps(): readonly (Dispatch | Copy)[] {
    return this.#steps;
  }

  /** Params of all dispatches, `PARAMS_STRIDE` bytes each. */
  get params(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#params.buffer, 0, this.#paramsLength);
  }

  /** Work of the whole list in multiply-adds. */
  get cost(): number {
    return this.#steps.reduce((sum, step) => sum + step.cost, 0);
  }

  /**
   * Adds one dispatch.
   *
   * @param kernel What to run.
   * @param buffers A tensor for each of the kernel's bindings.
   * @param params A number for each field of its `struct Params`.
   * @param constants A value for each name that its prelude needs.
   */
  dispatch<B extends string, P extends string, C extends string>(
    kernel: Kernel<B, P, C>,
    buffers: Readonly<Record<B, Tensor>>,
    params: Readonly<Record<P, number>>,
    constants: Readonly<Record<C, number | boolean | string>>,
  ): void {
    const entry: Pipeline = this.#pipelines.get(kernel as unknown as Kernel, constants as Constants);
    const numbers = constants as Record<C, number>;
    const [x, y = 1, z = 1] = kernel.workgroups(params, numbers);
    if (x === 0 || y === 0 || z === 0) return;
    if (Math.max(x, y, z) > this.#maxGrid) {
      throw new RangeError(
        `Cannot dispatch ${kernel.name} with ${x} x ${y} x ${z} workgroups: the device allows ${this.#maxGrid} in each direction`,
      );
    }
    let paramsOffset = -1;
    if (Object.keys(kernel.params).length > 0) {
      paramsOffset = this.#paramsLength;
      this.#paramsLength += PARAMS_STRIDE;
      if (this.#paramsLength > this.#params.byteLength) {
        const grown = new Uint8Array(this.#params.byteLength * 2);
        grown.set(new Uint8Array(this.#params.buffer));
        this.#params = new DataView(grown.buffer);
      }
      packParams(kernel as unknown as Kernel, params, this.#params, paramsOffset);
    }
    this.#steps.push({
      kernel: kernel as unknown as Kernel,
      pipeline: entry,
      bindGroup: this.#pipelines.bind(kernel as unknown as Kernel, entry, buffers),
      paramsOffset,
      grid: [x, y, z],
      cost: kernel.cost(params, numbers),
    });
  }

  /** Adds a copy of `byteLength` bytes; offsets and length are multiples of 4. */
  copy(source: Tensor, sourceOffset: number, target: Tensor, targetOffset: number, byteLength: number): void {
    this.#steps.push({ copy: true, source, sourceOffset, target, targetOffset, byteLength, cost: byteLength / 4 });
  }
}
