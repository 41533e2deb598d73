/**
 * What loading a checkpoint's weights will do, known from headers alone: whether the tensors fit the config, in which
 * format each matrix is stored, and how many bytes that takes.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import type { Checkpoint, TensorEntry } from "../checkpoint/checkpoint.ts";
import { type ConvertedDtype, isConverted } from "../checkpoint/converted.ts";
import { GROUP, GROUP_WORDS, matrixBytes, scaleWordsPerRow, type WeightFormat } from "../gpu/matrix.ts";
import { byteLengthOf } from "../gpu/tensor.ts";
import { SOURCE_BLOCKS, type SourceDtype, sourceRowBytes } from "../kernels/store_rows.ts";
import type { ModelConfig } from "./config.ts";
import { padded } from "./padding.ts";
import { LM_HEAD } from "./tensor_names.ts";
import { layoutOf, type LlamaParameters, mapSlots, type Slot } from "./weight_layout.ts";

/** How weights are stored: `auto` is each tensor's own precision. */
export type WeightChoice = "auto" | "f32" | "f16" | "q8" | "q4";

/** How a tensor is stored in the files. */
export type StoredDtype = SourceDtype | ConvertedDtype;

/** Tensors that some checkpoints carry and no kernel reads: tables that follow from the config, or are part of it. */
const HARMLESS = /^rope_freqs\.weight$|(^|\.)(rotary_emb\.inv_freq|attn\.masked_bias|attention\.bias)$/;

/**
 * Checks that a checkpoint has the tensors of the layout, with their shapes, in types that can be read, and no others.
 *
 * @throws {FormatError} At the first that is not so.
 */
export function checkTensors(
  layout: LlamaParameters<Slot, Slot>,
  { tensors, source }: Pick<Checkpoint, "tensors" | "source">,
): void {
  const needed = new Set<string>();
  const check = (slot: Slot) => {
    for (const { name, rows } of slot.tensors) {
      needed.add(name);
      const shape = slot.columns === 0 ? [rows] : [rows, slot.columns];
      const entry = tensors.get(name);
      if (entry === undefined) {
        throw new FormatError(
          source.name,
          `Cannot load ${source.name}: tensor ${name} is missing, expected with shape [${shape.join(", ")}]`,
          { code: "MissingTensor" },
        );
      }
      checkTensor(name, entry, shape);
    }
  };
  mapSlots(layout, check, check);
  for (const [name, { file }] of tensors) {
    const isTiedHead = layout.lmHead === layout.embedTokens && name === LM_HEAD;
    if (needed.has(name) || isTiedHead || HARMLESS.test(name)) continue;
    throw new FormatError(
      file,
      `Cannot load ${file}: it has the tensor ${name}, which a model of this config does not have`,
      { code: "UnexpectedTensor" },
    );
  }
}

function checkTensor(name: string, entry: TensorEntry, expected: readonly number[]): void {
  const { file, dtype, shape, begin, end } = entry;
  const refuse = (why: string, code: string): never => {
    throw new FormatError(file, `Cannot load tensor ${name} of ${file}: ${why}`, { code });
  };
  if (isConverted(dtype) && expected.length === 2) return checkConverted(name, entry, expected as [number, number]);
  if (shape.length !== expected.length || shape.some((extent, i) => extent !== expected[i])) {
    refuse(`shape is [${shape.join(", ")}], expected [${expected.join(", ")}]`, "Shape");
  }
  const known = Object.keys(SOURCE_BLOCKS).filter((type) => expected.length > 1 || isFloat(type as SourceDtype));
  if (!known.includes(dtype)) refuse(`dtype is ${dtype}, expected one of ${known.join(", ")}`, "Dtype");
  const columns = expected.at(-1)!;
  if (columns % SOURCE_BLOCKS[dtype as SourceDtype].weights !== 0) {
    refuse(`rows of ${columns} are no whole number of ${dtype} blocks`, "Shape");
  }
  const bytes = (expected.length > 1 ? expected[0]! : 1) * sourceRowBytes(dtype as SourceDtype, columns);
  if (end - begin !== bytes) refuse(`it takes ${end - begin} bytes, expected ${bytes}`, "Shape");
}

/** Its columns are whole groups, and its bytes what lies on the GPU. */
function checkConverted(name: string, entry: TensorEntry, [rows, columns]: readonly [number, number]): void {
  const { file, dtype, shape, begin, end, scales } = entry;
  const groups = Math.ceil(columns / GROUP);
  const format = OWN[dtype as ConvertedDtype];
  const bytes = [end - begin, scales!.end - scales!.begin];
  const expected = [rows * groups * GROUP_WORDS[format] * 4, rows * scaleWordsPerRow(format, groups) * 4];
  if (shape[0] === rows && shape[1] === groups * GROUP && bytes.every((each, i) => each === expected[i])) return;
  throw new FormatError(
    file,
    `Cannot load tensor ${name} of ${file}: shape is [${shape.join(", ")}], expected [${rows}, ${groups * GROUP}]`,
    { code: "Shape" },
  );
}

function isFloat(dtype: SourceDtype): boolean {
  return SOURCE_BLOCKS[dtype].weights === 1;
}

const OWN: Readonly<Record<StoredDtype, WeightFormat>> = {
  SKEIN_Q8: "q8",
  SKEIN_Q4: "q4",
  F32: "f32",
  F16: "f16",
  BF16: "bf16",
  Q8_0: "q8",
  Q5_1: "q5m",
  Q5_0: "q5",
  Q4_1: "q4m",
  Q4_0: "q4",
  Q6_K: "q6k",
  Q5_K: "q5k",
  Q4_K: "q4k",
  Q3_K: "q3k",
  Q2_K: "q2k",
};

/** Types that `q4` cannot make smaller. */
const FOUR_BITS: readonly SourceDtype[] = ["Q4_1", "Q4_0", "Q4_K", "Q3_K", "Q2_K"];

/** Neighbouring rows of a matrix that are stored alike. */
export interface FormatRun {
  /** How they are stored. */
  readonly format: WeightFormat;
  /** How many, with their padding. */
  readonly rows: number;
}

/**
 * How the rows of a matrix are stored: each tensor's in its own format, so that unlike ones cost neither precision nor
 * memory.
 *
 * @param fallback The type that is taken for tensors that the checkpoint does not have.
 * @throws As `tensorFormat`.
 */
export function formatRuns(
  { tensors, rows, role }: Slot,
  checkpoint: Pick<Checkpoint, "tensors" | "source">,
  choice: WeightChoice,
  fallback?: SourceDtype,
): FormatRun[] {
  const runs: FormatRun[] = [];
  for (const [i, { name, rowOffset }] of tensors.entries()) {
    const format = tensorFormat(name, role, checkpoint, choice, fallback);
    const own = (tensors[i + 1]?.rowOffset ?? rows) - rowOffset;
    const last = runs.at(-1);
    if (last?.format === format) runs[runs.length - 1] = { format, rows: last.rows + own };
    else runs.push({ format, rows: own });
  }
  return runs;
}

/**
 * The format that a matrix's tensor is stored in: `formatOf`, or that which it was converted to, which takes no other.
 *
 * @throws {FormatError} If another is asked for.
 */
export function tensorFormat(
  name: string,
  role: Slot["role"],
  { tensors, source }: Pick<Checkpoint, "tensors" | "source">,
  choice: WeightChoice,
  fallback?: SourceDtype,
): WeightFormat {
  const dtype = (tensors.get(name)?.dtype ?? fallback) as StoredDtype;
  if (!isConverted(dtype)) return formatOf(dtype, choice, role);
  const format = OWN[dtype];
  if (choice === "auto" || formatOf("F32", choice, role) === format) return format;
  throw new FormatError(
    source.name,
    `Cannot load ${source.name} with weights ${choice}: tensor ${name} was converted to ${format}; use weights auto, ` +
      `or the checkpoint that it was made from`,
    { code: "Converted" },
  );
}

/**
 * The format that a tensor of a matrix is stored in.
 *
 * GGUF's blocks stay what they are under `q8`, and under `q4` those of 4 bits or fewer: larger ones would hold the same
 * values. bfloat16 stays what it is under `f16`, in the same 2 bytes: float16 would round its small values away and
 * overflow on its large ones.
 *
 * @param dtype Its type.
 * @param choice What was asked for.
 * @param role What the matrix is.
 */
export function formatOf(dtype: SourceDtype, choice: WeightChoice, role: Slot["role"]): WeightFormat {
  if (choice === "auto") return OWN[dtype];
  if (choice === "f32") return "f32";
  if (choice === "f16") return dtype === "BF16" ? "bf16" : "f16";
  const isEight = choice === "q8" || role === "vocabulary";
  if (FOUR_BITS.includes(dtype) || (isEight && !isFloat(dtype))) return OWN[dtype];
  return isEight ? "q8" : "q4";
}

/**
 * Bytes that `loadWeights` will allocate for the weights.
 *
 * @param config The model.
 * @param checkpoint Its tensors; where it has none, the type that the config names is taken for all of them.
 * @param choice How to store them.
 * @param maxTensorBytes What one binding holds; it decides only about rounding. Default 128 MiB.
 * @throws {FormatError} If there are tensors and they do not fit the config.
 */
export function planWeights(
  config: ModelConfig,
  checkpoint: Pick<Checkpoint, "tensors" | "source" | "format">,
  choice: WeightChoice,
  maxTensorBytes: number = 2 ** 27,
): number {
  const layout = layoutOf(config, checkpoint.format === "gguf");
  if (checkpoint.format !== "none") checkTensors(layout, checkpoint);
  const done = new Set<Slot>();
  let bytes = 0;
  const add = (slot: Slot) => {
    if (done.has(slot)) return;
    done.add(slot);
    if (slot.columns === 0) {
      bytes += byteLengthOf("f32", [slot.rows]);
      return;
    }
    for (const { rows, format } of formatRuns(slot, checkpoint, choice, config.dtype)) {
      bytes += matrixBytes(rows, padded(slot.columns), format, maxTensorBytes);
    }
  };
  mapSlots(layout, add, add);
  return bytes;
}
