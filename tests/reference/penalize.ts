/** Logits after CTRL's repetition penalty on the tokens of `seen`. */
export function penalize(logits: ArrayLike<number>, seen: ReadonlySet<number>, penalty: number): Float64Array {
  return Float64Array.from(
    logits,
    (logit, id) => !seen.has(id) ? logit : logit > 0 ? logit / penalty : logit * penalty,
  );
}
