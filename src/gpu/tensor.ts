/**
 * A tensor is a GPU buffer that knows its element type and its shape.
 *
 * @module
 */

/** Element types. f16 and bf16 are stored two to a u32, low half first, so that every adapter reads them alike. */
export type Dtype = "f32" | "f16" | "bf16" | "u32";

const BYTES: Record<Dtype, number> = { f32: 4, u32: 4, f16: 2, bf16: 2 };

/** Bytes that `shape` elements of `dtype` take, rounded up to whole 4-byte words. */
export function byteLengthOf(dtype: Dtype, shape: readonly number[]): number {
  const elements = shape.reduce((product, extent) => product * extent, 1);
  return Math.max(4, Math.ceil((elements * BYTES[dtype]) / 4) * 4);
}

let nextId = 0;

/** A GPU buffer with its element type and shape, outermost extent first. */
export class Tensor {
  /** Unique in this process; bind groups are cached by it. */
  readonly id: number = nextId++;
  /** The buffer that holds the elements, from its first byte. */
  readonly buffer: GPUBuffer;
  /** Element type. */
  readonly dtype: Dtype;
  /** Extents, outermost first. */
  readonly shape: readonly number[];
  /** What the tensor holds, for error messages and GPU debuggers. */
  readonly label: string;
  readonly #onDispose: (tensor: Tensor) => void;
  #disposed = false;

  /** Made by `Gpu.createTensor`, which also counts its bytes. */
  constructor(
    buffer: GPUBuffer,
    dtype: Dtype,
    shape: readonly number[],
    label: string,
    onDispose: (tensor: Tensor) => void,
  ) {
    this.buffer = buffer;
    this.dtype = dtype;
    this.shape = shape;
    this.label = label;
    this.#onDispose = onDispose;
  }

  /** Bytes of the buffer. */
  get byteLength(): number {
    return this.buffer.size;
  }

  /** Frees the GPU memory at once. Safe to call twice. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#onDispose(this);
    this.buffer.destroy();
  }

  /** Frees the GPU memory when a `using` block ends. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
