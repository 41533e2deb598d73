/**
 * Bytes on their way back from the GPU, through staging buffers that are used again.
 *
 * @module
 */
import { allocateBuffer, attempt } from "./allocation.ts";
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
  /** All buffers, those in use included. */
  readonly #made = new Set<GPUBuffer>();

  readonly #usage: () => string;

  /**
   * Makes an empty pool.
   *
   * @param usage What to tell where there is no memory for a buffer.
   */
  constructor(device: GPUDevice, usage: () => string) {
    this.#device = device;
    this.#usage = usage;
  }

  /** Submits what was encoded, and then the copies of some requests. */
  submit(encoder: GPUCommandEncoder, requests: readonly ReadRequest[]): Readback {
    const ranges = requests.map(({ tensor, byteOffset = 0, byteLength = tensor.byteLength - byteOffset }) => ({
      buffer: tensor.buffer,
      byteOffset,
      byteLength,
    }));
    const total = ranges.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const { queue } = this.#device;
    const copy = (encoder: GPUCommandEncoder, staging: GPUBuffer) => {
      let at = 0;
      for (const { buffer, byteOffset, byteLength } of ranges) {
        encoder.copyBufferToBuffer(buffer, byteOffset, staging, at, byteLength);
        at += byteLength;
      }
      queue.submit([encoder.finish()]);
    };
    const found = this.#free.findIndex(({ size }) => size >= total && size <= 4 * total + 65536);
    if (total > 0 && found >= 0) {
      const [staging] = this.#free.splice(found, 1) as [GPUBuffer];
      copy(encoder, staging);
      return this.#readbackOf(staging, total, undefined);
    }
    queue.submit([encoder.finish()]);
    if (total === 0) return { fetch: () => Promise.resolve(new Uint8Array()), discard: () => {} };
    // Where there is no memory for a new buffer, only the reading fails: what was submitted before has run.
    const usage = 0x01 | 0x08; // MAP_READ | COPY_DST
    const { result, outcome } = allocateBuffer(this.#device, { label: "staging", size: total, usage }, this.#usage());
    this.#made.add(result);
    const copied = attempt(this.#device, () => copy(this.#device.createCommandEncoder(), result));
    return this.#readbackOf(result, total, Promise.all([outcome, copied.outcome]).then(([full]) => full));
  }

  /** Frees all buffers; what is being read then fails. */
  dispose(): void {
    for (const staging of this.#made) staging.destroy();
    this.#made.clear();
    this.#free.length = 0;
  }

  /** @param failure What came of making the buffer; undefined for one that has served before. */
  #readbackOf(staging: GPUBuffer, total: number, failure: Promise<Error | undefined> | undefined): Readback {
    const requireMade = () => {
      if (!this.#made.has(staging)) throw new TypeError("The GPU was disposed");
    };
    return {
      fetch: async () => {
        try {
          requireMade();
          const map = () => staging.mapAsync(1, 0, total); // GPUMapMode.READ
          await (failure === undefined ? map() : attempt(this.#device, map).result);
          requireMade();
          const bytes = new Uint8Array(staging.getMappedRange(0, total).slice(0));
          staging.unmap();
          this.#free.push(staging);
          return bytes;
        } catch (error) {
          this.#destroy(staging);
          throw (await failure) ?? error;
        }
      },
      discard: () => {
        void Promise.resolve(failure).then((error) => {
          // A later use of the buffer is ordered after the copy, so that nothing has to be waited for.
          if (error === undefined && this.#made.has(staging)) this.#free.push(staging);
          else this.#destroy(staging);
        });
      },
    };
  }

  #destroy(staging: GPUBuffer): void {
    this.#made.delete(staging);
    staging.destroy();
  }
}
