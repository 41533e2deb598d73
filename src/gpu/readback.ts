/**
 * Bytes on their way back from the GPU, through staging buffers that are used again.
 *
 * @module
 */
import type { Tensor } from "./tensor.ts";

/** A part of a tensor to read back. */
export interface ReadRequest {
  /** What to read. */
  readonly tensor: Tensor;
  /** First byte, a multiple of 4. Default 0. */
  readonly byteOffset?: number;
  /** Number of bytes, a multiple of 4. Default: to the end. */
  readonly byteLength?: number;
}

/** Bytes that a submit copies. Fetch them once, or discard them. */
export interface Readback {
  /**
   * The bytes of all requests, one after the other. In Deno the call blocks until the GPU is done, and its promise
   * resolves some 10 ms later: a caller who has more work calls it, submits that work, and only then awaits.
   */
  fetch(): Promise<Uint8Array<ArrayBuffer>>;
  /** Gives the staging buffer back unread. */
  discard(): void;
}

/** The staging buffers of one device. */
export class ReadbackPool {
  readonly #device: GPUDevice;
  readonly #free: GPUBuffer[] = [];

  /** Makes an empty pool. */
  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Encodes the copies of some requests. */
  encode(encoder: GPUCommandEncoder, requests: readonly ReadRequest[]): Readback {
    const ranges = requests.map(({ tensor, byteOffset = 0, byteLength = tensor.byteLength - byteOffset }) => ({
      buffer: tensor.buffer,
      byteOffset,
      byteLength,
    }));
    const total = ranges.reduce((sum, { byteLength }) => sum + byteLength, 0);
    if (total === 0) return { fetch: () => Promise.resolve(new Uint8Array()), discard: () => {} };
    const staging = this.#take(total);
    let at = 0;
    for (const { buffer, byteOffset, byteLength } of ranges) {
      encoder.copyBufferToBuffer(buffer, byteOffset, staging, at, byteLength);
      at += byteLength;
    }
    return {
      fetch: async () => {
        try {
          await staging.mapAsync(1, 0, total); // GPUMapMode.READ
          const bytes = new Uint8Array(staging.getMappedRange(0, total).slice(0));
          staging.unmap();
          this.#free.push(staging);
          return bytes;
        } catch (error) {
          staging.destroy();
          throw error;
        }
      },
      // A later use of the buffer is ordered after the copy, so that nothing has to be waited for.
      discard: () => void this.#free.push(staging),
    };
  }

  /** Frees the buffers that are not in use. */
  dispose(): void {
    for (const staging of this.#free.splice(0)) staging.destroy();
  }

  #take(byteLength: number): GPUBuffer {
    const found = this.#free.findIndex((buffer) => buffer.size >= byteLength && buffer.size <= 4 * byteLength + 65536);
    if (found >= 0) return this.#free.splice(found, 1)[0]!;
    return this.#device.createBuffer({ label: "staging", size: byteLength, usage: 0x01 | 0x08 }); // MAP_READ | COPY_DST
  }
}
