/** ln softmax of logits at a token, and of the likeliest `nTop` tokens, the lower id first among equals. */
export function topLogprobs(
  logits: ArrayLike<number>,
  token: number,
  nTop: number,
): { logprob: number; top: { token: number; logprob: number }[] } {
  const largest = Array.from(logits).reduce((a, b) => Math.max(a, b));
  const sum = Array.from(logits).reduce((total, logit) => total + Math.exp(logit - largest), 0);
  const logprob = (id: number) => logits[id]! - largest - Math.log(sum);
  const order = Array.from(logits, (_, id) => id).sort((a, b) => logits[b]! - logits[a]! || a - b);
  return {
    logprob: logprob(token),
    top: order.slice(0, nTop).map((id) => ({ token: id, logprob: logprob(id) })),
  };
}
