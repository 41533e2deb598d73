/**
 * The files that a conversion writes: which tensors, in which order, at which offsets. Known before any is written, so
 * that a conversion can go on where it was interrupted.
 *
 * @module
 */
import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { LAYOUT, LAYOUT_KEY, SCALES } from "../checkpoint/converted.ts";
import { GROUP, GROUP_WORDS, scaleWordsPerRow, type WeightFormat } from "../gpu/matrix.ts";
import type { ModelConfig } from "../model/config.ts";
import { layoutOf, mapSlots, type Slot, type SlotTensor } from "../model/weight_layout.ts";
import { checkTensors, tensorFormat, type WeightChoice } from "../model/weight_plan.ts";

/** One tensor of an output file. */
export interface OutputTensor {
  /** Its name there. */
  readonly name: string;
  /** Type, as safetensors spells it. */
  readonly dtype: string;
  /** Extents, outermost first. */
  readonly shape: readonly number[];
  /** Bytes. */
  readonly bytes: number;
  /** The tensor of the checkpoint that it is made from. */
  readonly from: SlotTensor;
  /** The buffer that its rows are read back from; undefined where it is copied from the checkpoint. */
  readonly part: "weight" | "scales" | undefined;
}

/** What belongs together: a matrix or vector and the tensors that it becomes. */
export interface OutputSlot {
  /** The weights. */
  readonly slot: Slot;
  /** The tensors, in the order of the file. */
  readonly tensors: readonly OutputTensor[];
}

/** One output file. */
export interface OutputFile {
  /** Its name. */
  readonly name: string;
  /** Its content, in order. */
  readonly slots: readonly OutputSlot[];
}

/**
 * Plans the files of a conversion.
 *
 * @param mostBytes Bytes of tensors in a file, unless one matrix has more.
 * @throws {FormatError} If the checkpoint is not one of this config.
 */
export function planOutput(
  config: ModelConfig,
  checkpoint: Checkpoint,
  choice: WeightChoice,
  mostBytes: number,
): OutputFile[] {
  const layout = layoutOf(config, false);
  checkTensors(layout, checkpoint);
  const slots = new Map<Slot, OutputSlot>();
  const add = (slot: Slot) =>
    slots.set(slot, { slot, tensors: slot.tensors.flatMap((from) => outputsOf(slot, from, checkpoint, choice)) });
  mapSlots(layout, add, add);
  const files: OutputSlot[][] = [];
  let filled = Infinity;
  for (const output of slots.values()) {
    const bytes = output.tensors.reduce((sum, each) => sum + each.bytes, 0);
    if (filled + bytes > mostBytes) {
      files.push([]);
      filled = 0;
    }
    files.at(-1)!.push(output);
    filled += bytes;
  }
  const number = (i: number) => String(i).padStart(5, "0");
  return files.map((each, i) => ({
    name: files.length === 1 ? "model.safetensors" : `model-${number(i + 1)}-of-${number(files.length)}.safetensors`,
    slots: each,
  }));
}

const PLAIN: Partial<Record<WeightFormat, string>> = { f32: "F32", f16: "F16", bf16: "BF16" };

function outputsOf(slot: Slot, from: SlotTensor, checkpoint: Checkpoint, choice: WeightChoice): OutputTensor[] {
  const { name, rows } = from;
  if (slot.columns === 0) {
    const { dtype, begin, end } = checkpoint.tensors.get(name)!;
    return [{ name, dtype, shape: [rows], bytes: end - begin, from, part: undefined }];
  }
  const format = tensorFormat(name, slot.role, checkpoint, choice);
  const dtype = PLAIN[format];
  if (dtype !== undefined) {
    const bytes = rows * slot.columns * (dtype === "F32" ? 4 : 2);
    return [{ name, dtype, shape: [rows, slot.columns], bytes, from, part: "weight" }];
  }
  const groups = Math.ceil(slot.columns / GROUP);
  const words = GROUP_WORDS[format];
  const scaleWords = scaleWordsPerRow(format, groups);
  const stored = `${name}.${format}`;
  return [
    {
      name: stored,
      dtype: "U32",
      shape: [rows, groups, words],
      bytes: rows * groups * words * 4,
      from,
      part: "weight",
    },
    {
      name: stored + SCALES,
      dtype: "U32",
      shape: [rows, scaleWords],
      bytes: rows * scaleWords * 4,
      from,
      part: "scales",
    },
  ];
}

/** The beginning of a safetensors file, up to its first tensor's first byte. */
export function safetensorsHeader({ slots }: OutputFile): Uint8Array<ArrayBuffer> {
  let end = 0;
  const table: Record<string, unknown> = { __metadata__: { format: "pt", [LAYOUT_KEY]: LAYOUT } };
  for (const { name, dtype, shape, bytes } of slots.flatMap(({ tensors }) => tensors)) {
    table[name] = { dtype, shape, data_offsets: [end, end += bytes] };
  }
  const text = JSON.stringify(table);
  const json = new TextEncoder().encode(text);
  // Tensors begin at multiples of 8, as other programs that map the file want them to.
  const length = Math.ceil(json.length / 8) * 8;
  const header = new Uint8Array(8 + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(json, 8);
  return header;
}

/** The index of several files, as Hugging Face has it. */
export function safetensorsIndex(files: readonly OutputFile[]): string {
  const tensors = files.flatMap(({ name: file, slots }) =>
    slots.flatMap((each) => each.tensors.map(({ name, bytes }) => ({ file, name, bytes })))
  );
  return JSON.stringify(
    {
      metadata: { total_size: tensors.reduce((sum, { bytes }) => sum + bytes, 0) },
      weight_map: Object.fromEntries(tensors.map(({ name, file }) => [name, file])),
    },
    undefined,
    2,
  );
}
