/**
 * The keys and values of the tokens that a sequence has seen, and where it stands.
 *
 * @module
 */
import type { Gpu } from "../gpu/device.ts";
import { byteLengthOf, type Tensor } from "../gpu/tensor.ts";
import { CapacityError } from "../errors.ts";
import { RING_TILE } from "../kernels/attention.ts";
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
  /** Rows that each has for a head, a ring: position p is in row p mod capacity. */
  readonly capacity: number;
}

/**
 * Rows that a layer needs for a head, in a cache of `length` tokens: one a token, or, where the layer has a window, those
 * of the window and of the `chunk` of tokens that one pass adds, in whole tiles of attention.
 */
function rowsOf({ slidingWindow, slidingLayers }: ModelConfig, layer: number, length: number, chunk: number): number {
  if (slidingWindow === undefined || !slidingLayers.includes(layer)) return length;
  return Math.min(length, ringRows(slidingWindow, chunk));
}

function ringRows(window: number, chunk: number): number {
  return Math.ceil((window + chunk) / RING_TILE) * RING_TILE;
}

/** Rows of each layer for a head, in a cache of `length` tokens that is fed in chunks of up to `chunk`: (nLayers). */
export function kvRows(config: ModelConfig, length: number, chunk: number): number[] {
  return Array.from({ length: config.nLayers }, (_, layer) => rowsOf(config, layer, length, chunk));
}

/** Bytes of a cache of `length` tokens that is fed in chunks of up to `chunk`: all layers, keys and values. */
export function kvCacheBytes(config: ModelConfig, format: KvFormat, length: number, chunk: number): number {
  return kvRows(config, length, chunk)
    .reduce((sum, rows) => sum + 2 * byteLengthOf(...kvTensorShape(format, config, rows)), 0);
}

/** Bytes of the runs that a cache has for its first `length` tokens: see `KvCache.runs`. */
export function kvRunsBytes(config: ModelConfig, format: KvFormat, length: number): number {
  const { slidingWindow = length, slidingLayers, nLayers } = config;
  const nTokens = (nLayers - slidingLayers.length) * length + slidingLayers.length * Math.min(length, slidingWindow);
  return 2 * nTokens * byteLengthOf(...kvTensorShape(format, config, 1));
}

/** Rows for a head that one K or V tensor may hold under the device's binding limit. */
export function maxKvRows(config: ModelConfig, format: KvFormat, maxTensorBytes: number): number {
  return Math.floor(maxTensorBytes / byteLengthOf(...kvTensorShape(format, config, 1)));
}

/** A run of bytes in a tensor of keys or values. */
export interface KvRun {
  /** The tensor. */
  readonly tensor: Tensor;
  /** First byte, a multiple of 4. */
  readonly begin: number;
  /** Number of bytes, a multiple of 4. */
  readonly byteLength: number;
}

/** Positions from `begin` to `end`, cut where one of the rings ends. */
function cut(begin: number, end: number, ...rings: readonly number[]): { position: number; count: number }[] {
  const runs = [];
  for (let position = begin; position < end;) {
    const count = Math.min(end - position, ...rings.map((rows) => rows - position % rows));
    runs.push({ position, count });
    position += count;
  }
  return runs;
}

/**
 * A cache that grows up to a limit. A layer with a window keeps only the newest rows, so that a sequence which goes back
 * further than those has to be fed again: `keep` tells.
 */
export class KvCache {
  /** Storage format of keys and values. */
  readonly format: KvFormat;
  /** Most tokens it may hold. */
  readonly limit: number;
  readonly #gpu: Gpu;
  readonly #config: ModelConfig;
  readonly #chunk: number;
  #layers: readonly KvLayer[] = [];
  #capacity = 0;
  /** The first position whose row no later one has taken, in layers with a window. */
  #oldest = 0;
  #isDisposed = false;

  /** Makes an empty cache, which holds no memory yet, for up to `limit` tokens that come in chunks of up to `chunk`. */
  constructor(gpu: Gpu, config: ModelConfig, format: KvFormat, limit: number, chunk: number) {
    this.#gpu = gpu;
    this.#config = config;
    this.format = format;
    this.limit = limit;
    this.#chunk = chunk;
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
   * Makes room for `length` tokens; what is cached stays, where there is no room for more too.
   *
   * @throws {CapacityError} If `length` is over the limit, or the device has no memory for it.
   */
  async reserve(length: number): Promise<void> {
    if (length <= this.#capacity) return;
    const capacity = this.#capacityFor(length);
    const rows = kvRows(this.#config, capacity, this.#chunk);
    if (this.#layers.length === 0) {
      this.#take(await this.#gpu.allocate(() => rows.map((each, i) => this.#createLayer(i, each))));
    }
    // Layer by layer, so that never more than one layer's old tensors stand beside the new ones.
    for (const [i, each] of rows.entries()) {
      const old = this.#layers[i]!;
      if (old.capacity >= each) continue;
      const layer = await this.#gpu.allocate(() => {
        const layer = this.#createLayer(i, each);
        // What still grows has not gone round.
        this.#copy(old, layer, 0, this.#capacity);
        return layer;
      });
      this.#take([layer], i);
    }
    this.#capacity = capacity;
  }

  #capacityFor(length: number): number {
    if (length > this.limit) {
      throw new CapacityError(`Cannot hold ${length} tokens: the context length is ${this.limit}`, {
        requested: length,
        available: this.limit,
        unit: "tokens",
      });
    }
    const doubled = Math.max(length, 2 * this.#capacity);
    return Math.min(this.limit, Math.ceil(doubled / GROWTH) * GROWTH);
  }

  #createLayer(i: number, capacity: number): KvLayer {
    const shape = kvTensorShape(this.format, this.#config, capacity);
    return {
      k: this.#gpu.createTensor(`keys of layer ${i}`, ...shape),
      v: this.#gpu.createTensor(`values of layer ${i}`, ...shape),
      capacity,
    };
  }

  /** Puts layers in the place of those from `begin` on, unless the cache was disposed while they were made. */
  #take(layers: readonly KvLayer[], begin = 0): void {
    if (this.#isDisposed) {
      disposeLayers(layers);
      throw new TypeError("The session was disposed");
    }
    disposeLayers(this.#layers.slice(begin, begin + layers.length));
    this.#layers = this.#layers.toSpliced(begin, layers.length, ...layers);
  }

  /**
   * Tells the cache that it now counts as holding the first `length` tokens: more than before, because they were fed, or
   * fewer, because the rest is forgotten.
   *
   * @returns `length`, or 0 where a layer has lost what the next token would see: all have to be fed again then.
   */
  keep(length: number): number {
    const { slidingWindow, slidingLayers } = this.#config;
    if (slidingWindow === undefined || slidingLayers.length === 0) return length;
    this.#oldest = Math.max(this.#oldest, length - ringRows(slidingWindow, this.#chunk));
    if (Math.max(0, length + 1 - slidingWindow) >= this.#oldest) return length;
    this.#oldest = 0;
    return 0;
  }

  /** Takes over another cache's first `length` tokens; this one is empty. Called by `Gpu.allocate`. */
  copyFrom(other: KvCache, length: number): void {
    this.#oldest = other.#oldest;
    if (length === 0) return;
    this.#capacity = this.#capacityFor(length);
    this.#layers = kvRows(this.#config, this.#capacity, this.#chunk).map((rows, i) => this.#createLayer(i, rows));
    other.layers.forEach((from, i) => {
      const to = this.#layers[i]!;
      this.#copy(from, to, Math.max(0, length - to.capacity), length);
    });
  }

  /** Whether every layer holds what it ever will of the first `length` tokens: all, or a window. */
  isWhole(length: number): boolean {
    return Math.max(0, length - (this.#config.slidingWindow ?? length)) >= this.#oldest;
  }

  /**
   * Where the first `length` tokens lie, in the order of layers, keys before values, heads and positions: of layers with
   * a window, the newest tokens that it holds. The same runs of bytes, together, whatever the cache's capacity.
   */
  runs(length: number): KvRun[] {
    const { slidingWindow = length, slidingLayers } = this.#config;
    if (length === 0) return [];
    return this.#layers.flatMap((layer, i) => {
      const begin = slidingLayers.includes(i) ? Math.max(0, length - slidingWindow) : 0;
      return [layer.k, layer.v].flatMap((tensor) =>
        this.#regions(layer.capacity).flatMap(({ first, rowBytes }) =>
          cut(begin, length, layer.capacity).map(({ position, count }) => ({
            tensor,
            begin: first + position % layer.capacity * rowBytes,
            byteLength: count * rowBytes,
          }))
        )
      );
    });
  }

  /** Tells that the runs of the first `length` tokens were filled, and nothing else. */
  filled(length: number): void {
    this.#oldest = Math.max(0, length - (this.#config.slidingWindow ?? length));
  }

  /** Forgets everything, and frees the memory. */
  clear(): void {
    disposeLayers(this.#layers);
    this.#layers = [];
    this.#capacity = 0;
    this.#oldest = 0;
  }

  /** Frees the memory for good. */
  dispose(): void {
    this.#isDisposed = true;
    this.clear();
  }

  /** Where each head's rows begin in a tensor, region by region. */
  #regions(capacity: number): { first: number; rowBytes: number }[] {
    let first = 0;
    return kvRowBytes(this.format, this.#config.headDim).flatMap((rowBytes) =>
      Array.from({ length: this.#config.nKvHeads }, () => {
        first += capacity * rowBytes;
        return { first: first - capacity * rowBytes, rowBytes };
      })
    );
  }

  #copy(from: KvLayer, to: KvLayer, begin: number, end: number): void {
    const recorder = this.#gpu.record();
    const targets = this.#regions(to.capacity);
    this.#regions(from.capacity).forEach(({ first, rowBytes }, i) => {
      for (const { position, count } of cut(begin, end, from.capacity, to.capacity)) {
        const source = first + position % from.capacity * rowBytes;
        const target = targets[i]!.first + position % to.capacity * rowBytes;
        for (const name of ["k", "v"] as const) recorder.copy(from[name], source, to[name], target, count * rowBytes);
      }
    });
    this.#gpu.submit([recorder]);
  }
}

function disposeLayers(layers: readonly KvLayer[]): void {
  for (const { k, v } of layers) {
    k.dispose();
    v.dispose();
  }
}
