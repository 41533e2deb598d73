/**
 * What tells one loaded model from another, so that a saved cache is not used with weights that did not make it.
 *
 * @module
 */
import type { Matrix, MatrixPart } from "../gpu/matrix.ts";
import type { ReadRequest } from "../gpu/readback.ts";
import type { Runtime } from "./runtime.ts";

/** Bytes of each run of rows that count. */
const SAMPLE = 256;

const known = new WeakMap<Runtime, Promise<string>>();

/**
 * A hash of a model's shape, the formats of its weights, the gains of all its norms, and a piece of every matrix.
 * Fine-tuning changes every gain, and another quantisation every piece, so that the rest need not be read back.
 */
export function fingerprint(runtime: Runtime): Promise<string> {
  let found = known.get(runtime);
  if (found === undefined) known.set(runtime, found = compute(runtime));
  return found;
}

async function compute({ gpu, config, llama: { weights } }: Runtime): Promise<string> {
  const { embedTokens, lmHead, layers, norm } = weights;
  const gains = [norm, ...layers.flatMap((layer) => [layer.inputNorm, layer.postAttentionNorm])];
  const matrices: Matrix[] = [
    embedTokens,
    lmHead,
    ...layers.flatMap(({ qkvProj, oProj, gateUpProj, downProj }) => [qkvProj, oProj, gateUpProj, downProj]),
  ];
  const parts = matrices.flatMap(({ parts }) => parts);
  const shape = new TextEncoder().encode(JSON.stringify([config, parts.map(({ format, rows }) => [format, rows])]));
  const values = await gpu.submit([], [...gains.map((tensor) => ({ tensor })), ...parts.map(middleOf)]).fetch();
  const all = new Uint8Array(shape.length + values.length);
  all.set(shape);
  all.set(values, shape.length);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", all)).toHex();
}

/** A piece from the middle: the first rows may be tokens that no text has. */
function middleOf({ weight: tensor }: MatrixPart): ReadRequest {
  const byteLength = Math.min(SAMPLE, tensor.byteLength);
  return { tensor, byteOffset: Math.floor((tensor.byteLength - byteLength) / 8) * 4, byteLength };
}
