/**
 * The layout of a checkpoint that `convert` made: safetensors files whose metadata has `skein.layout`, here "1".
 *
 * A matrix NAME that is stored in groups of 32 weights stands there as two tensors of type U32, byte for byte what lies
 * on the GPU (`WeightFormat` in gpu/matrix.ts says what their bits mean):
 *
 *     NAME.q8  (rows, groups, 8)    NAME.q8.scales  (rows, ceil(groups / 2))
 *     NAME.q4  (rows, groups, 4)    NAME.q4.scales  (rows, ceil(groups / 2))
 *
 * where groups = ceil(columns / 32), and weights beyond the columns are zero. Everything else is stored as Hugging Face
 * stores it.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import type { TensorEntry } from "./header.ts";

/** Key of the metadata that names the layout. */
export const LAYOUT_KEY = "skein.layout";

/** The layout that is written, and the only one that is read. */
export const LAYOUT = "1";

/** Types of matrices that are stored as they lie on the GPU. */
export type ConvertedDtype = "SKEIN_Q8" | "SKEIN_Q4";

/** Ending of a matrix's name, u32 words of a group, and the type that it is read as. */
const STORED: readonly { readonly ending: string; readonly words: number; readonly dtype: ConvertedDtype }[] = [
  { ending: ".q8", words: 8, dtype: "SKEIN_Q8" },
  { ending: ".q4", words: 4, dtype: "SKEIN_Q4" },
];

/** Ending of the name of a matrix's scales, after that of the matrix. */
export const SCALES = ".scales";

/** Whether a type is one of a converted checkpoint's. */
export function isConverted(dtype: string): dtype is ConvertedDtype {
  return dtype === "SKEIN_Q8" || dtype === "SKEIN_Q4";
}

/**
 * The tensors of a checkpoint by the names that they had before it was converted: a matrix and its scales become one
 * entry of type SKEIN_Q8 or SKEIN_Q4, with as many columns as its groups hold.
 *
 * @throws {FormatError} If scales are missing, or shapes do not belong together.
 */
export function joinConverted(tensors: ReadonlyMap<string, TensorEntry>): ReadonlyMap<string, TensorEntry> {
  const joined = new Map<string, TensorEntry>();
  for (const [name, entry] of tensors) {
    if (name.endsWith(SCALES)) continue;
    const stored = STORED.find(({ ending }) => name.endsWith(ending));
    if (stored === undefined) {
      joined.set(name, entry);
      continue;
    }
    const scales = tensors.get(name + SCALES);
    const [rows = 0, groups = 0, words] = entry.shape;
    const fits = scales?.shape.length === 2 && scales.shape[0] === rows && scales.shape[1] === Math.ceil(groups / 2);
    if (entry.dtype !== "U32" || scales?.dtype !== "U32" || words !== stored.words || !fits) {
      throw new FormatError(
        entry.file,
        `Cannot load tensor ${name} of ${entry.file}: expected U32 [rows, groups, ${stored.words}] and, as ${name}${SCALES}, U32 [rows, groups / 2]`,
        { code: "Shape" },
      );
    }
    joined.set(name.slice(0, -stored.ending.length), {
      ...entry,
      dtype: stored.dtype,
      shape: [rows, groups * 32],
      scales: { file: scales.file, begin: scales.begin, end: scales.end },
    });
  }
  return joined;
}

/**
 * Refuses a layout that this version does not read.
 *
 * @returns Whether a file with this metadata is of a converted checkpoint.
 */
export function hasConvertedLayout(metadata: Readonly<Record<string, unknown>>, file: string): boolean {
  const layout = metadata[LAYOUT_KEY];
  if (layout === undefined || layout === LAYOUT) return layout === LAYOUT;
  throw new FormatError(
    file,
    `Cannot load ${file}: its ${LAYOUT_KEY} is ${
      JSON.stringify(layout)
    }, expected "${LAYOUT}"; convert the model again`,
    { code: "Layout" },
  );
}
