/**
 * Known answers for the kernels that store weights: rows of a checkpoint's tensors, as the host reads them from the file,
 * beside what the embedding kernel unpacks from the matrix that they have become.
 *
 * @module
 */
import type { Gpu } from "../gpu/device.ts";
import { formatAt, GROUP, type Matrix, type WeightFormat } from "../gpu/matrix.ts";
import type { Pipeline } from "../gpu/pipelines.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { embed } from "../kernels/embed.ts";
import { decodeRows, uninterleaved } from "../kernels/source_rows.ts";
import { type StoreRows, storeRows } from "../kernels/store_rows.ts";
import { kernelsOf, wrongKernel } from "./snapshots.ts";

/** A row that is compared. */
interface Sample {
  /** Names of the kernels that have stored it, or rows beside it. */
  readonly kernels: readonly string[];
  readonly matrix: Matrix;
  /** Row of the matrix. */
  readonly row: number;
  /** Whether its weights were quantised, in place of being moved. */
  readonly isPacked: boolean;
  /** The row as the file has it: (columns of the tensor). */
  readonly expected: Float64Array;
}

/** Samples on the GPU. */
interface Unpacked {
  /** Rows that are unpacked: (samples) u32. */
  readonly ids: Tensor;
  /** The rows, one after the other: (any length) f32. */
  readonly rows: Tensor;
  /** Where each sample's begins. */
  readonly begins: readonly number[];
  /** Name of the kernel that unpacks each. */
  readonly unpacking: readonly (readonly string[])[];
}

/** See the module's description. One serves the tensors that are stored in one go. */
export class StoreCheck {
  /** Pipelines that have been sampled, with rows in their order and with interleaved ones. */
  readonly #seen = { plain: new Set<Pipeline>(), interleaved: new Set<Pipeline>() };
  readonly #samples: Sample[] = [];
  #unpacked: Unpacked | undefined;

  /**
   * Records that rows are stored. Of the first that a pipeline takes, the first and the last are sampled.
   *
   * @param bytes The rows, as in the file: (nRows, bytes of a row).
   */
  store(recorder: Recorder, rows: StoreRows, bytes: Uint8Array): void {
    const begin = recorder.steps.length;
    storeRows(recorder, rows);
    const steps = recorder.steps.slice(begin).flatMap((step) => "kernel" in step ? [step] : []);
    const seen = rows.halfDim > 0 ? this.#seen.interleaved : this.#seen.plain;
    if (steps.every(({ pipeline }) => seen.has(pipeline))) return;
    for (const { pipeline } of steps) seen.add(pipeline);
    const kernels = [...new Set(steps.map(({ kernel }) => kernel.name))];
    const { matrix, firstRow, nRows, rowOffset, halfDim, dtype, columns } = rows;
    const rowBytes = bytes.length / nRows;
    for (const i of new Set([0, nRows - 1])) {
      this.#samples.push({
        ...{ kernels, matrix, isPacked: kernels.some((name) => name.startsWith("pack")) },
        row: rowOffset + uninterleaved(firstRow + i, halfDim),
        expected: decodeRows(bytes.subarray(i * rowBytes, (i + 1) * rowBytes), dtype, columns),
      });
    }
  }

  /** Records that the samples are unpacked, and gives the tensor that then has them; undefined where there are none. */
  async unpack(gpu: Gpu, recorder: Recorder): Promise<Tensor | undefined> {
    const samples = this.#samples;
    if (samples.length === 0) return undefined;
    let length = 0;
    const begins = samples.map(({ matrix: { columns } }) => {
      // A row begins at a multiple of its own length.
      const begin = Math.ceil(length / columns) * columns;
      length = begin + columns;
      return begin;
    });
    const { ids, rows } = await gpu.allocate(() => ({
      ids: gpu.tensorOf("stored rows to check", "u32", [samples.length], Uint32Array.from(samples, ({ row }) => row)),
      rows: gpu.createTensor("stored rows, unpacked", "f32", [length]),
    }));
    const unpacking = samples.map(({ matrix: table }, i) =>
      kernelsOf(recorder, () => {
        const firstRow = begins[i]! / table.columns;
        embed(recorder, { tokens: ids, tokensOffset: i, table, out: rows, nTokens: 1, firstRow });
      })
    );
    this.#unpacked = { ids, rows, begins, unpacking };
    return rows;
  }

  /**
   * Compares the samples with what was unpacked.
   *
   * @param values What the tensor of `unpack` holds.
   * @throws {ShaderError} With the name of a kernel that computes wrongly, and of the one that unpacks.
   */
  compare(gpu: Gpu, values: Float32Array): void {
    const { begins, unpacking } = this.#unpacked!;
    for (const [i, { kernels, matrix, row, expected, isPacked }] of this.#samples.entries()) {
      const actual = values.subarray(begins[i]!, begins[i]! + matrix.columns);
      if (!isRight(actual, expected, isPacked ? formatAt(matrix, row) : undefined)) {
        throw wrongKernel(gpu.name, [...kernels, ...new Set(unpacking[i])]);
      }
    }
  }

  /** Frees the memory. */
  [Symbol.dispose](): void {
    this.#unpacked?.ids.dispose();
    this.#unpacked?.rows.dispose();
  }
}

/** Whether a row is what was to be stored, as exactly as f16 or the format that it was quantised to can have it. */
function isRight(actual: Float32Array, expected: Float64Array, packed: WeightFormat | undefined): boolean {
  if (actual.subarray(expected.length).some((value) => value !== 0)) return false;
  const largestOf = (values: Float64Array) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const inRow = largestOf(expected);
  for (let begin = 0; begin < expected.length; begin += GROUP) {
    const group = expected.subarray(begin, begin + GROUP);
    const errors = group.map((value, i) => actual[begin + i]! - value);
    // The smallest scale that f16 has leaves that much.
    const least = 1e-4 * inRow + 2 ** -24;
    if (packed === "q4") {
      const allowed = Math.sqrt(squares(errorsOfQ4(group)) * 1.01 + GROUP * least ** 2);
      if (!(Math.sqrt(squares(errors)) <= allowed)) return false;
    } else {
      const share = packed === "q8" ? 5e-3 : 1e-3;
      if (!errors.every((error) => Math.abs(error) <= share * largestOf(group) + least)) return false;
    }
  }
  return true;
}

/** What plain rounding to 4 bits leaves, by a scale that the largest weight sets; the kernel searches for a better one. */
function errorsOfQ4(group: Float64Array): Float64Array {
  const extreme = group.reduce((most, value) => Math.abs(value) > Math.abs(most) ? value : most, 0);
  const scale = extreme / -8.125;
  if (scale === 0) return group;
  return group.map((value) => scale * Math.min(7, Math.max(-8, Math.round(value / scale))) - value);
}

function squares(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value * value, 0);
}
