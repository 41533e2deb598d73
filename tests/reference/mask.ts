/** Logits of which those that are not allowed cannot be selected. */
export function mask(logits: ArrayLike<number>, isAllowed: (id: number) => boolean): Float64Array {
  return Float64Array.from(logits, (logit, id) => isAllowed(id) || !Number.isFinite(logit) ? logit : -3.4028234e38);
}
