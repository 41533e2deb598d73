/**
 * The table of cosines and sines that rotary embedding reads: made by a kernel, or by its host twin where an adapter's
 * arithmetic is not good enough.
 *
 * @module
 */
import type { Gpu } from "../gpu/device.ts";
import { defineKernel, type Kernel } from "../gpu/kernel.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import * as wgsl from "../../wgsl/mod.ts";

const kernel: Kernel<
  "frequencies" | "table",
  "first_position" | "first_row" | "n_positions" | "attention_factor" | "zero",
  "N_PAIRS"
> = defineKernel({
  name: "rope_table",
  source: [wgsl.rope_table],
  constants: ["N_PAIRS"],
  bindings: { frequencies: "read", table: "read_write" },
  params: { first_position: "u32", first_row: "u32", n_positions: "u32", attention_factor: "f32", zero: "u32" },
  workgroups: ({ n_positions }, { N_PAIRS }) => [Math.ceil(n_positions / 64), N_PAIRS],
  cost: ({ n_positions }, { N_PAIRS }) => 64 * n_positions * N_PAIRS,
});

/** Largest difference from the host's table that a kernel's cosine or sine may have, for an attention factor of 1. */
export const ROPE_TABLE_TOLERANCE = 1e-6;

/** Positions from here on have no exact f32, so that an angle would mean nothing. */
const MAX_POSITIONS = 2 ** 24;

/** Frequencies as data, each array (nPairs) f32 with nPairs = rotaryDim / 2. */
export interface TableFrequencies {
  /** Frequencies without scaling. */
  readonly extrapolated: Float32Array;
  /** Frequencies for the longer context. */
  readonly interpolated: Float32Array;
  /** Share of the extrapolated frequency. */
  readonly mask: Float32Array;
  /** The blend of the three, in radians per position. */
  readonly invFreq: Float32Array;
  /** Factor on every cosine and sine. */
  readonly attentionFactor: number;
}

/** A run of positions. */
export interface PositionRange {
  /** First position. */
  readonly firstPosition: number;
  /** Number of positions. */
  readonly nPositions: number;
}

/** Operands of `ropeTable`. */
export interface RopeTable extends PositionRange {
  /** Output of `packFrequencies`: (nPairs, 4) f32. */
  readonly frequencies: Tensor;
  /** Output: (nRows, nPairs, 2) f32, cosine and sine. */
  readonly table: Tensor;
  /** Row of the first position. Default: `firstPosition`, so that row p belongs to position p. */
  readonly firstRow?: number;
  /** Pairs of a head. */
  readonly nPairs: number;
  /** Factor on every cosine and sine. */
  readonly attentionFactor: number;
}

/** Records the rows of a run of positions; other rows stay, so that a table can be extended. */
export function ropeTable(recorder: Recorder, operands: RopeTable): void {
  const { frequencies, table, firstPosition, nPositions, firstRow = firstPosition, nPairs, attentionFactor } = operands;
  const params = {
    first_position: firstPosition,
    first_row: firstRow,
    n_positions: nPositions,
    attention_factor: attentionFactor,
    zero: 0,
  };
  recorder.dispatch(kernel, { frequencies, table }, params, { N_PAIRS: nPairs });
}

/** What the kernel reads: (nPairs, 4) f32 of extrapolated, interpolated, mask and 0. */
export function packFrequencies({ extrapolated, interpolated, mask }: TableFrequencies): Float32Array<ArrayBuffer> {
  const packed = new Float32Array(extrapolated.length * 4);
  for (let j = 0; j < extrapolated.length; j++) packed.set([extrapolated[j]!, interpolated[j]!, mask[j]!], 4 * j);
  return packed;
}

/**
 * The kernel's twin, in the reference's arithmetic: the angle rounded to float32, its cosine and sine in float64,
 * rounded, times the factor in float32.
 *
 * @returns (nPositions, nPairs, 2) f32, cosine and sine.
 */
export function hostRopeTable(
  { invFreq, attentionFactor }: Pick<TableFrequencies, "invFreq" | "attentionFactor">,
  { firstPosition, nPositions }: PositionRange,
): Float32Array<ArrayBuffer> {
  const table = new Float32Array(nPositions * invFreq.length * 2);
  const factor = Math.fround(attentionFactor);
  let at = 0;
  for (let position = firstPosition; position < firstPosition + nPositions; position++) {
    for (const frequency of invFreq) {
      const angle = Math.fround(position * frequency);
      table[at++] = Math.fround(Math.cos(angle)) * factor;
      table[at++] = Math.fround(Math.sin(angle)) * factor;
    }
  }
  return table;
}

/** Who computes tables on a device. */
export type RopeTableSource = "rope_table" | "host";

const verdicts = new WeakMap<Gpu, Promise<RopeTableSource>>();

/**
 * Fills the rows of a run of positions, row p for position p. The first call on a device compares the kernel with its
 * twin at a few hundred positions up to 131071; where it is off by more than `ROPE_TABLE_TOLERANCE`, the twin's numbers
 * are uploaded instead, on that call and later ones.
 *
 * @param gpu Device of the table.
 * @param operands Frequencies, the table (nRows, nPairs, 2) f32, and the run of positions.
 * @returns Who made the rows, for the list of variants that outputs name.
 * @throws {RangeError} If the run is longer than the table, or reaches past position 2^24.
 */
export async function checkedRopeTable(
  gpu: Gpu,
  { frequencies, table, firstPosition, nPositions }: PositionRange & { frequencies: TableFrequencies; table: Tensor },
): Promise<RopeTableSource> {
  const end = firstPosition + nPositions;
  const nRows = Math.min(table.byteLength / (frequencies.invFreq.length * 8), MAX_POSITIONS);
  if (!(end <= nRows)) {
    throw new RangeError(`Cannot fill the RoPE table up to position ${end}: it has room for ${Math.floor(nRows)}`);
  }
  let verdict = verdicts.get(gpu);
  if (verdict === undefined) {
    verdicts.set(gpu, verdict = judgeKernel(gpu, frequencies));
    // A device without memory for it now may have some later.
    verdict.catch(() => verdicts.delete(gpu));
  }
  const source = await verdict;
  if (source === "host") uploadRopeTable(gpu, { frequencies, table, firstPosition, nPositions });
  else {await runKernel(gpu, frequencies, (recorder, rest) =>
      ropeTable(recorder, { ...rest, table, firstPosition, nPositions }));}
  return source;
}

/** Computes rows on the host and uploads them, a few MiB at a time. */
export function uploadRopeTable(
  gpu: Gpu,
  { frequencies, table, firstPosition, nPositions }: PositionRange & { frequencies: TableFrequencies; table: Tensor },
): void {
  const rowBytes = frequencies.invFreq.length * 8;
  const chunk = Math.max(1, Math.floor(2 ** 22 / rowBytes));
  const end = firstPosition + nPositions;
  for (let first = firstPosition; first < end; first += chunk) {
    const rows = hostRopeTable(frequencies, { firstPosition: first, nPositions: Math.min(chunk, end - first) });
    gpu.upload(table, rows, first * rowBytes);
  }
}

/** Blocks of 64 positions that are compared: ends, powers of two, and a place between. */
const SPOT_POSITIONS = [0, 2016, 32736, 65472, 100003, 131008];

async function judgeKernel(gpu: Gpu, frequencies: TableFrequencies): Promise<RopeTableSource> {
  const nPairs = frequencies.invFreq.length;
  const shape = [SPOT_POSITIONS.length * 64, nPairs, 2];
  using table = await gpu.allocate(() => gpu.createTensor("rope table check", "f32", shape));
  await runKernel(gpu, frequencies, (recorder, rest) => {
    SPOT_POSITIONS.forEach((firstPosition, block) =>
      ropeTable(recorder, { ...rest, table, firstPosition, nPositions: 64, firstRow: block * 64 })
    );
  });
  const actual = new Float32Array((await gpu.read(table)).buffer);
  const allowed = ROPE_TABLE_TOLERANCE * Math.max(1, frequencies.attentionFactor);
  const good = SPOT_POSITIONS.every((firstPosition, block) => {
    const exact = hostRopeTable(frequencies, { firstPosition, nPositions: 64 });
    return exact.every((value, i) => Math.abs(value - actual[block * exact.length + i]!) <= allowed);
  });
  return good ? "rope_table" : "host";
}

async function runKernel(
  gpu: Gpu,
  frequencies: TableFrequencies,
  record: (recorder: Recorder, rest: Pick<RopeTable, "frequencies" | "nPairs" | "attentionFactor">) => void,
): Promise<void> {
  const nPairs = frequencies.invFreq.length;
  const values = packFrequencies(frequencies);
  using packed = await gpu.allocate(() => gpu.tensorOf("rope frequencies", "f32", [nPairs, 4], values));
  const recorder = gpu.record();
  record(recorder, { frequencies: packed, nPairs, attentionFactor: frequencies.attentionFactor });
  await gpu.run(recorder);
}
