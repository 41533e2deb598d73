/**
 * What tells one loaded model from another, so that a saved cache is never used with weights that did not make it.
 *
 * @module
 */
import type { Matrix } from "../gpu/matrix.ts";
import type { Runtime } from "./runtime.ts";

/** The formats of a matrix, in the order of its rows. */
function formatsOf({ parts }: Matrix): string {
  return [...new Set(parts.map(({ format }) => format))].join(" ");
}

const known = new WeakMap<Runtime, Promise<string>>();

/**
 * A hash of a model's shape, the storage of its weights, and the gains of all its norms. Fine-tuning changes every
 * gain, so that two models of one shape differ; the large matrices need not be read back.
 */
export function fingerprint(runtime: Runtime): Promise<string> {
  let found = known.get(runtime);
  if (found === undefined) known.set(runtime, found = compute(runtime));
  return found;
}

async function compute({ gpu, config, llama: { weights } }: Runtime): Promise<string> {
  const gains = [weights.norm, ...weights.layers.flatMap((layer) => [layer.inputNorm, layer.postAttentionNorm])];
  const formats = weights.layers.map(({ qkvProj, downProj }) => [formatsOf(qkvProj), formatsOf(downProj)]);
  const shape = new TextEncoder().encode(JSON.stringify([config, formats]));
  const values = await gpu.submit([], gains.map((tensor) => ({ tensor }))).fetch();
  const all = new Uint8Array(shape.length + values.length);
  all.set(shape);
  all.set(values, shape.length);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", all)).toHex();
}
