/**
 * The cosines and sines of a model, for as many positions as its longest sequence needs.
 *
 * @module
 */
import type { Gpu } from "../gpu/device.ts";
import { byteLengthOf, type Tensor } from "../gpu/tensor.ts";
import { checkedRopeTable, type RopeTableSource } from "../kernels/rope_table.ts";
import type { ModelConfig } from "./config.ts";
import type { RopeFrequencies } from "./rope.ts";

/** Positions by which the table grows at least. */
const GROWTH = 1024;

/** Bytes of a table of `length` positions. */
export function ropeTableBytes(config: ModelConfig, length: number): number {
  return byteLengthOf("f32", [length, config.headDim / 2, 2]);
}

/** A table that grows up to a limit. */
export class RopeTable {
  readonly #gpu: Gpu;
  readonly #frequencies: RopeFrequencies;
  readonly #limit: number;
  #table: Tensor | undefined;
  #length = 0;
  #source: RopeTableSource = "yarn_table";

  /** Makes an empty table for up to `limit` positions. */
  constructor(gpu: Gpu, frequencies: RopeFrequencies, limit: number) {
    this.#gpu = gpu;
    this.#frequencies = frequencies;
    this.#limit = limit;
  }

  /** What computed the table: the kernel, or the host where the adapter's arithmetic is not good enough. */
  get source(): RopeTableSource {
    return this.#source;
  }

  /** The frequencies that it is made from. */
  get frequencies(): RopeFrequencies {
    return this.#frequencies;
  }

  /** The table with at least `length` positions: (nPositions, headDim / 2, 2) f32. Replaced when it grows. */
  async reserve(length: number): Promise<Tensor> {
    if (this.#table !== undefined && length <= this.#length) return this.#table;
    const doubled = Math.max(length, 2 * this.#length);
    const nPositions = Math.min(this.#limit, Math.ceil(doubled / GROWTH) * GROWTH);
    const table = this.#gpu.createTensor("rope table", "f32", [nPositions, this.#frequencies.invFreq.length, 2]);
    this.#source = await checkedRopeTable(this.#gpu, {
      frequencies: this.#frequencies,
      table,
      firstPosition: 0,
      nPositions,
    });
    this.#table?.dispose();
    this.#table = table;
    this.#length = nPositions;
    return table;
  }

  /** Frees the memory. */
  dispose(): void {
    this.#table?.dispose();
    this.#table = undefined;
    this.#length = 0;
  }
}
