/**
 * Streams a checkpoint's tensors from its files to the GPU. The host holds two pieces of the file and nothing else: one
 * is being read while the GPU converts the other.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { type Piece, type PieceRows, planPieces, type RowRange } from "../checkpoint/pieces.ts";
import type { ModelSource } from "../checkpoint/source.ts";
import type { Gpu } from "../gpu/device.ts";
import { createMatrix, disposeMatrix, formatAt, type Matrix, stackMatrices } from "../gpu/matrix.ts";
import type { Recorder } from "../gpu/recorder.ts";
import type { Tensor } from "../gpu/tensor.ts";
import { findNotFinite, NOT_FINITE } from "../kernels/find_not_finite.ts";
import { isVerbatim, type SourceDtype, sourceRowBytes, uploadRows } from "../kernels/store_rows.ts";
import type { ModelConfig } from "./config.ts";
import { gainScale, padded } from "./padding.ts";
import { StoreCheck } from "./store_check.ts";
import { layoutOf, type LlamaParameters, mapSlots, type Slot } from "./weight_layout.ts";
import { checkTensors, formatRuns, type WeightChoice } from "./weight_plan.ts";
import { readVector } from "./weight_vectors.ts";

export { planWeights, type WeightChoice } from "./weight_plan.ts";

/** A Llama's weights on the GPU; vectors are f32. */
export type LlamaWeights = LlamaParameters<Matrix, Tensor>;

/** How far loading is. */
export interface LoadProgress {
  /** The phase that this is about. */
  readonly phase: "load";
  /** Bytes of the files that are on the GPU. */
  readonly loaded: number;
  /** Bytes of the files to load. */
  readonly total: number;
  /** The file that was read last. */
  readonly file: string;
  /** The tensor that was read last. */
  readonly tensor: string;
}

/** Choices of `loadWeights`. */
export interface LoadWeightsOptions {
  /** How weights are stored. Default "auto". */
  readonly weights?: WeightChoice;
  /** Stops between two pieces. */
  readonly signal?: AbortSignal;
  /** Called after each piece. */
  readonly onProgress?: (progress: LoadProgress) => void;
}

/** Bytes of a piece: two on the host and one on the GPU are far below what a tab may use. */
const PIECE_BYTES = 2 ** 23;

/** Bytes handed to the GPU before the host waits for it: uploads are copies in memory until they are done. */
const FLUSH_BYTES = 2 ** 26;

/** One tensor, or one of two that it is stored as, and where it goes. */
interface Stream extends RowRange {
  readonly name: string;
  /** "weight" and "scales" go to the GPU as they are. */
  readonly dtype: SourceDtype | "weight" | "scales";
  readonly target: Matrix | Tensor;
  /** Row of the matrix, or element of the vector, where it begins. */
  readonly rowOffset: number;
  /** Half of headDim where its rows are interleaved pairs; else 0. */
  readonly halfDim: number;
  /** Its element of the faults. */
  readonly index: number;
  /** Weights of a row; 0 for a vector. */
  readonly columns: number;
  /** Factor on a vector. */
  readonly scale: number;
}

/**
 * Loads all weights.
 *
 * @param gpu Where to.
 * @param config The model's shape, which the tensors have to match. The forward pass takes `paddedConfig` of it.
 * @param checkpoint Where from.
 * @throws {FormatError} If a tensor is missing, unexpected, of another shape or unreadable type, or holds values that
 * the chosen format cannot.
 * @throws {CapacityError} If the GPU cannot hold them.
 */
export async function loadWeights(
  gpu: Gpu,
  config: ModelConfig,
  checkpoint: Checkpoint,
  options: LoadWeightsOptions = {},
): Promise<LlamaWeights> {
  const layout = layoutOf(config, checkpoint.format === "gguf");
  checkTensors(layout, checkpoint);
  const filling = new Filling(gpu, checkpoint, options);
  return await filling.run(() => mapSlots(layout, (slot) => filling.matrix(slot), (slot) => filling.vector(slot)));
}

/**
 * Loads one matrix, as `loadWeights` loads it among all. The checkpoint's tensors are taken to fit.
 *
 * @throws As `loadWeights`.
 */
export async function loadMatrix(
  gpu: Gpu,
  slot: Slot,
  checkpoint: Checkpoint,
  options: LoadWeightsOptions = {},
): Promise<Matrix> {
  const filling = new Filling(gpu, checkpoint, options);
  return await filling.run(() => filling.matrix(slot));
}

/** Targets on the GPU and what fills them. */
class Filling {
  readonly #gpu: Gpu;
  readonly #checkpoint: Checkpoint;
  readonly #options: LoadWeightsOptions;
  readonly #streams: Stream[] = [];
  readonly #made: (Matrix | Tensor)[] = [];

  constructor(gpu: Gpu, checkpoint: Checkpoint, options: LoadWeightsOptions) {
    this.#gpu = gpu;
    this.#checkpoint = checkpoint;
    this.#options = options;
  }

  matrix(slot: Slot): Matrix {
    const runs = formatRuns(slot, this.#checkpoint, this.#options.weights ?? "auto").map(({ rows, format }) => {
      const run = createMatrix(this.#gpu, slot.label, rows, padded(slot.columns), format);
      this.#made.push(run);
      return run;
    });
    return this.#fill(slot, stackMatrices(runs));
  }

  vector(slot: Slot): Tensor {
    const vector = this.#gpu.createTensor(slot.label, "f32", [slot.rows]);
    this.#made.push(vector);
    return this.#fill(slot, vector);
  }

  /** Makes targets and fills them, or frees them all. */
  async run<T>(make: () => T): Promise<T> {
    try {
      const targets = await this.#gpu.allocate(make);
      await stream(this.#gpu, this.#checkpoint.source, this.#streams, this.#options);
      return targets;
    } catch (error) {
      for (const target of this.#made) disposeTarget(target);
      throw error;
    }
  }

  #fill<T extends Matrix | Tensor>(slot: Slot, target: T): T {
    const { columns } = slot;
    for (const { name, rows, rowOffset, halfDim } of slot.tensors) {
      const { file, begin, end, dtype, scales } = this.#checkpoint.tensors.get(name)!;
      const add = (part: Pick<Stream, "file" | "begin" | "rowBytes" | "rows" | "dtype">) =>
        this.#streams.push({
          ...{ ...part, name, target, rowOffset, halfDim, index: this.#streams.length },
          ...{ columns, scale: slot.role === "gain" ? gainScale(rows) : 1 },
        });
      if (scales !== undefined) {
        add({ file, begin, rowBytes: (end - begin) / rows, rows, dtype: "weight" });
        add({ ...scales, rowBytes: (scales.end - scales.begin) / rows, rows, dtype: "scales" });
      } else if (columns === 0) {
        add({ file, begin, rowBytes: end - begin, rows: 1, dtype: dtype as SourceDtype });
      } else {
        add({
          file,
          begin,
          rowBytes: sourceRowBytes(dtype as SourceDtype, columns),
          rows,
          dtype: dtype as SourceDtype,
        });
      }
    }
    return target;
  }
}

/** Frees all weights. */
export function disposeWeights(weights: LlamaWeights): void {
  disposeMatrix(weights.embedTokens);
  disposeMatrix(weights.lmHead);
  weights.norm.dispose();
  for (const layer of weights.layers) {
    for (const target of Object.values(layer)) if (target !== undefined) disposeTarget(target);
  }
}

function disposeTarget(target: Matrix | Tensor): void {
  if ("parts" in target) disposeMatrix(target);
  else target.dispose();
}

async function stream(
  gpu: Gpu,
  source: ModelSource,
  streams: readonly Stream[],
  { weights: choice = "auto", signal, onProgress }: LoadWeightsOptions,
): Promise<void> {
  const pieces = planPieces(streams, PIECE_BYTES);
  const total = pieces.reduce((sum, { begin, end }) => sum + end - begin, 0);
  // The next multiple of 4 is written too, and the word after that may be read.
  const capacity = Math.ceil(Math.max(...pieces.map(({ begin, end }) => end - begin)) / 4) * 4;
  const buffers = [new Uint8Array(capacity), new Uint8Array(capacity)] as const;
  using staging = await gpu.allocate(() => gpu.createTensor("file piece", "u32", [capacity / 4 + 1]));
  using faults = await gpu.allocate(() => gpu.createTensor("faults", "u32", [streams.length]));
  using stored = new StoreCheck();
  const read = ({ file, begin, end }: Piece<Stream>, i: number) => source.read(file, begin, end, buffers[i % 2]!);
  let loaded = 0;
  let unflushed = 0;
  let reading = read(pieces[0]!, 0);
  for (const [i, piece] of pieces.entries()) {
    const bytes = await reading;
    signal?.throwIfAborted();
    const next = pieces[i + 1];
    if (next !== undefined) {
      reading = read(next, i + 1);
      // An error of this read belongs to the next turn, which may never come.
      reading.catch(() => {});
    }
    const recorder = gpu.record();
    for (const rows of piece.contents) place(gpu, recorder, rows, bytes, { staging, faults, stored });
    if (recorder.steps.length > 0) {
      gpu.upload(staging, new Uint8Array(buffers[i % 2]!.buffer, 0, Math.ceil(bytes.length / 4) * 4));
    }
    gpu.submit([recorder]);
    loaded += bytes.length;
    unflushed += bytes.length;
    if (unflushed >= FLUSH_BYTES) {
      await gpu.device.queue.onSubmittedWorkDone();
      unflushed = 0;
    }
    onProgress?.({ phase: "load", loaded, total, file: piece.file, tensor: piece.contents.at(-1)!.range.name });
  }
  const check = gpu.record();
  for (const { dtype, target, rowOffset, rows, index } of streams) {
    if (dtype === "scales" || !("parts" in target)) continue;
    findNotFinite(check, { matrix: target, rowOffset, rows, faults, faultIndex: index });
  }
  const rows = await stored.unpack(gpu, check);
  await gpu.run(check, signal);
  const readback = gpu.submit([], [faults, ...rows === undefined ? [] : [rows]].map((tensor) => ({ tensor })));
  const { buffer } = await readback.fetch();
  await gpu.settle();
  const words = new Uint32Array(buffer, 0, streams.length);
  const fault = streams.find(({ index }) => words[index] !== 0);
  if (fault !== undefined) {
    if (words[fault.index] === NOT_FINITE) throw notFinite(fault);
    throw new FormatError(
      fault.file,
      `Cannot store tensor ${fault.name} of ${fault.file} as weights ${choice}: it has values that are not finite or ` +
        `too large for float16; use weights f32`,
      { code: "Overflow" },
    );
  }
  if (rows !== undefined) stored.compare(gpu, new Float32Array(buffer, faults.byteLength));
}

function notFinite({ name, file }: Stream): FormatError {
  return new FormatError(
    file,
    `Cannot use tensor ${name} of ${file}: it holds NaN or infinity; the file is damaged, or its training diverged`,
    { code: "NotFinite" },
  );
}

/** Hands one tensor's rows of a piece to the GPU. */
function place(
  gpu: Gpu,
  recorder: Recorder,
  { range, firstRow, rows, offset }: PieceRows<Stream>,
  bytes: Uint8Array<ArrayBuffer>,
  { staging, faults, stored }: { readonly staging: Tensor; readonly faults: Tensor; readonly stored: StoreCheck },
): void {
  const { dtype, target, rowOffset, halfDim, index, rowBytes, columns, scale } = range;
  const data = bytes.subarray(offset, offset + rows * rowBytes);
  if (dtype === "weight" || dtype === "scales") {
    uploadRows(gpu, data, target as Matrix, rowOffset + firstRow, rows, dtype);
  } else if (!("parts" in target)) {
    const values = readVector(data, dtype, halfDim);
    if (!values.every(Number.isFinite)) throw notFinite(range);
    gpu.upload(target, values.map((value) => value * scale), rowOffset * 4);
  } else if (isVerbatim(dtype, columns, halfDim, formatAt(target, rowOffset))) {
    uploadRows(gpu, data, target, rowOffset + firstRow, rows, "weight");
  } else {
    stored.store(recorder, {
      ...{ source: staging, sourceByte: offset, dtype, firstRow, nRows: rows, columns },
      ...{ matrix: target, rowOffset, halfDim, faults, faultIndex: index },
    }, data);
  }
}
