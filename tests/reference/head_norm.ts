import { rmsNorm } from "./rms_norm.ts";

/**
 * Every query and key head of `qkv` (nTokens, nHeads + 2 nKvHeads, headDim) divided by its root mean square, times the
 * gain of queries or keys: `weight` (2, headDim). Values are copied.
 */
export function headNorm(
  qkv: Float64Array,
  weight: Float64Array,
  { nHeads, nKvHeads, headDim, eps }: { nHeads: number; nKvHeads: number; headDim: number; eps: number },
): Float64Array {
  const out = Float64Array.from(qkv);
  const width = (nHeads + 2 * nKvHeads) * headDim;
  for (let begin = 0; begin < qkv.length; begin += width) {
    const keys = begin + nHeads * headDim;
    const values = keys + nKvHeads * headDim;
    out.set(rmsNorm(qkv.slice(begin, keys), weight.slice(0, headDim), headDim, eps), begin);
    out.set(rmsNorm(qkv.slice(keys, values), weight.slice(headDim), headDim, eps), keys);
  }
  return out;
}
