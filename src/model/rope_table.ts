/**
 * The cosines and sines of a model, for as many positions as its longest sequence needs.
 *
 * @module
 */
import type { Gpu } from "../gpu/device.ts";
import { byteLengthOf, type Tensor } from "../gpu/tensor.ts";
import { checkedRopeTable, type RopeTableSource } from "../kernels/rope_table.ts";
import type { ModelConfig } from "./config.ts";
import type { Rope, RopeFrequencies } from "./rope.ts";

/** Positions by which the table grows at least. */
const GROWTH = 1024;

/** Bytes of a table of `length` positions. */
export function ropeTableBytes(config: ModelConfig, length: number): number {
  return byteLengthOf("f32", [length, config.rotaryDim / 2, 2]);
}

/** A table that grows up to a limit. */
export class RopeTable {
  readonly #gpu: Gpu;
  readonly #rope: Rope;
  readonly #limit: number;
  #table: Tensor | undefined;
  #length = 0;
  #filled: RopeFrequencies | undefined;
  #source: RopeTableSource = "rope_table";
  /** Tables that a longer one has replaced while recordings may still name them. */
  #replaced: Tensor[] = [];
  #latest: Promise<unknown> = Promise.resolve();

  /** Makes an empty table for up to `limit` positions. */
  constructor(gpu: Gpu, rope: Rope, limit: number) {
    this.#gpu = gpu;
    this.#rope = rope;
    this.#limit = limit;
  }

  /** What computed the table: the kernel, or the host where the adapter's arithmetic is not good enough. */
  get source(): RopeTableSource {
    return this.#source;
  }

  /** The rotary embedding that it is made from. */
  get rope(): Rope {
    return this.#rope;
  }

  /** The frequencies of a short input. */
  get frequencies(): RopeFrequencies {
    return this.#rope.frequenciesAt(0);
  }

  /**
   * The table with at least `length` positions, for an input of `inputLength` tokens: (nPositions, rotaryDim / 2, 2)
   * f32. Replaced when it grows, and filled anew when the frequencies are others.
   */
  reserve(length: number, inputLength: number): Promise<Tensor> {
    const reserved = this.#latest.then(() => this.#reserve(length, inputLength));
    this.#latest = reserved.catch(() => {});
    return reserved;
  }

  /** Frees tables that were replaced: for when no recording that names one will be submitted any more. */
  release(): void {
    for (const table of this.#replaced.splice(0)) table.dispose();
  }

  /** Frees the memory. */
  dispose(): void {
    this.release();
    this.#table?.dispose();
    this.#table = undefined;
    this.#length = 0;
  }

  async #reserve(length: number, inputLength: number): Promise<Tensor> {
    const frequencies = this.#rope.frequenciesAt(inputLength);
    const isRoomy = this.#table !== undefined && length <= this.#length;
    if (isRoomy && frequencies === this.#filled) return this.#table!;
    const doubled = Math.max(length, 2 * this.#length);
    const nPositions = isRoomy ? this.#length : Math.min(this.#limit, Math.ceil(doubled / GROWTH) * GROWTH);
    const table = isRoomy
      ? this.#table!
      : await this.#gpu.allocate(() =>
        this.#gpu.createTensor("rope table", "f32", [nPositions, frequencies.invFreq.length, 2])
      );
    this.#filled = undefined;
    try {
      this.#source = await checkedRopeTable(this.#gpu, { frequencies, table, firstPosition: 0, nPositions });
    } catch (error) {
      if (!isRoomy) table.dispose();
      throw error;
    }
    if (!isRoomy && this.#table !== undefined) this.#replaced.push(this.#table);
    this.#table = table;
    this.#length = nPositions;
    this.#filled = frequencies;
    return table;
  }
}
