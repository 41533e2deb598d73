/**
 * The keys and values of the tokens that a sequence has seen, and where it stands.
 *
 * @module
 */
import type { Gpu } from "../gpu/device.ts";
import { byteLengthOf, type Tensor } from "../gpu/tensor.ts";
import { CapacityError } from "../errors.ts";
import { type KvFormat, kvRowBytes, kvTensorShape } from "../kernels/kv_formats.ts";
import type { ModelConfig } from "./config.ts";

/** Tokens by which a cache grows at least; half the first real allocation of a chat. */
const GROWTH = 256;

/** One layer's keys and values, each as `kvTensorShape` has them. */
export interface KvLayer {
  /** Keys, rotated. */
  readonly k: Tensor;
  /** Values. */
  readonly v: Tensor;
}

/** Bytes of a cache of `capacity` tokens, all layers, keys and values. */
export function kvCacheBytes(config: ModelConfig, format: KvFormat, capacity: number): number {
  return 2 * config.nLayers * byteLengthOf(...kvTensorShape(format, config, capacity));
}

/** Tokens that one K or V tensor may hold under the device's binding limit. */
export function maxKvCapacity(config: ModelConfig, format: KvFormat, maxTensorBytes: number): number {
  return Math.floor(maxTensorBytes / byteLengthOf(...kvTensorShape(format, config, 1)));
}

/** A run of bytes in a tensor. */
export interface ByteRange {
  /** First byte, a multiple of 4. */
  readonly begin: number;
  /** Number of bytes, a multiple of 4. */
  readonly byteLength: number;
}

/** Where the first `length` tokens lie in a K or V tensor with room for `capacity`: one run of bytes a head, region by region. */
export function kvRanges(config: ModelConfig, format: KvFormat, capacity: number, length: number): ByteRange[] {
  const ranges: ByteRange[] = [];
  let begin = 0;
  for (const rowBytes of kvRowBytes(format, config.headDim)) {
    for (let head = 0; head < config.nKvHeads; head++) {
      ranges.push({ begin, byteLength: length * rowBytes });
      begin += capacity * rowBytes;
    }
  }
  return ranges;
}

/** A cache that grows up to a limit. */
export class KvCache {
  /** Storage format of keys and values. */
  readonly format: KvFormat;
  /** Most tokens it may hold. */
  readonly limit: number;
  readonly #gpu: Gpu;
  readonly #config: ModelConfig;
  #layers: readonly KvLayer[] = [];
  #capacity = 0;

  /** Makes an empty cache, which holds no memory yet. */
  constructor(gpu: Gpu, config: ModelConfig, format: KvFormat, limit: number) {
    this.#gpu = gpu;
    this.#config = config;
    this.format = format;
    this.limit = limit;
  }

  /** Keys and values by layer. Replaced when the cache grows. */
  get layers(): readonly KvLayer[] {
    return this.#layers;
  }

  /** Tokens that fit without growing. */
  get capacity(): number {
    return this.#capacity;
  }

  /** Bytes that it takes now. */
  get byteLength(): number {
    return this.#layers.reduce((sum, { k, v }) => sum + k.byteLength + v.byteLength, 0);
  }

  /**
   * Makes room for `length` tokens; what is cached stays.
   *
   * @returns Whether the tensors were replaced.
   * @throws {CapacityError} If `length` is over the limit.
   */
  reserve(length: number): boolean {
    if (length <= this.#capacity) return false;
    if (length > this.limit) {
      throw new CapacityError(`Cannot hold ${length} tokens: the context length is ${this.limit}`, {
        requested: length,
        available: this.limit,
        unit: "tokens",
      });
    }
    const doubled = Math.max(length, 2 * this.#capacity);
    const capacity = Math.min(this.limit, Math.ceil(doubled / GROWTH) * GROWTH);
    const shape = kvTensorShape(this.format, this.#config, capacity);
    const previous = this.#layers;
    const held = this.#capacity;
    // Layer by layer, so that never more than one layer's old tensors stand beside the new ones.
    this.#layers = Array.from({ length: this.#config.nLayers }, (_, i) => {
      const layer = {
        k: this.#gpu.createTensor(`keys of layer ${i}`, ...shape),
        v: this.#gpu.createTensor(`values of layer ${i}`, ...shape),
      };
      const old = previous[i];
      if (old !== undefined) {
        for (const name of ["k", "v"] as const) {
          this.#copy(old[name], held, layer[name], capacity, held);
          old[name].dispose();
        }
      }
      return layer;
    });
    this.#capacity = capacity;
    return true;
  }

  /** Takes over another cache's first `length` tokens, in place of what this one holds. Both are of one model. */
  copyFrom(other: KvCache, length: number): void {
    this.reserve(length);
    if (length === 0) return;
    other.layers.forEach((from, i) => {
      for (const name of ["k", "v"] as const) {
        this.#copy(from[name], other.capacity, this.#layers[i]![name], this.#capacity, length);
      }
    });
  }

  /** Where the first `length` tokens lie in each tensor of `layers`. */
  ranges(length: number): ByteRange[] {
    return length === 0 ? [] : kvRanges(this.#config, this.format, this.#capacity, length);
  }

  /** Frees the memory. */
  dispose(): void {
    for (const { k, v } of this.#layers) {
      k.dispose();
      v.dispose();
    }
    this.#layers = [];
    this.#capacity = 0;
  }

  #copy(from: Tensor, fromCapacity: number, to: Tensor, toCapacity: number, length: number): void {
    const recorder = this.#gpu.record();
    const sources = kvRanges(this.#config, this.format, fromCapacity, length);
    const targets = kvRanges(this.#config, this.format, toCapacity, length);
    sources.forEach(({ begin, byteLength }, i) => recorder.copy(from, begin, to, targets[i]!.begin, byteLength));
    this.#gpu.submit([recorder]);
  }
}
