/**
 * The one tensor of a GGUF file that is config: the divisors of the rotary frequencies, which llama.cpp's converter
 * writes for models with the scaling of Llama 3.1.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import type { TensorEntry } from "./header.ts";
import type { ModelSource } from "./source.ts";

/** The tensor's name: (rotaryDim / 2) f32. */
export const ROPE_FACTORS = "rope_freqs.weight";

/** No head is as wide as this many pairs. */
const MOST = 4096;

/**
 * Reads the divisors.
 *
 * @returns A key of the metadata and its value; neither where the file has no such tensor.
 * @throws {FormatError} If the tensor is no vector of F32 numbers.
 */
export async function readRopeFactors(
  source: ModelSource,
  tensors: ReadonlyMap<string, TensorEntry>,
): Promise<Readonly<Record<string, readonly number[]>>> {
  const entry = tensors.get(ROPE_FACTORS);
  if (entry === undefined) return {};
  const { file, dtype, shape, begin, end } = entry;
  const [length = 0] = shape;
  if (dtype !== "F32" || shape.length !== 1 || length > MOST || end - begin !== 4 * length) {
    throw new FormatError(
      file,
      `Cannot load tensor ${ROPE_FACTORS} of ${file}: it is ${dtype} [${
        shape.join(", ")
      }], expected F32 [head_dim / 2]`,
      { code: "Shape" },
    );
  }
  const bytes = await source.read(file, begin, end);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { [ROPE_FACTORS]: Array.from({ length }, (_, i) => view.getFloat32(4 * i, true)) };
}
