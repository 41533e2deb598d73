/** What the penalties look at, and what they take. */
export interface PenaltyCase {
  /** Tokens of the prompt. */
  readonly prompt: Iterable<number>;
  /** Tokens of the output, each as often as it is there. */
  readonly output: readonly number[];
  /** Penalty of CTRL. */
  readonly repetition: number;
  /** Penalty for being in the output. */
  readonly presence: number;
  /** Penalty for each time in the output. */
  readonly frequency: number;
}

/** Logits after CTRL's repetition penalty and the OpenAI API's presence and frequency penalties. */
export function penalize(logits: ArrayLike<number>, penalties: PenaltyCase): Float64Array {
  const { output, repetition, presence, frequency } = penalties;
  const seen = new Set([...penalties.prompt, ...output]);
  const times = new Map<number, number>();
  for (const id of output) times.set(id, (times.get(id) ?? 0) + 1);
  return Float64Array.from(logits, (logit, id) => {
    const repeated = !seen.has(id) ? logit : logit > 0 ? logit / repetition : logit * repetition;
    const count = times.get(id) ?? 0;
    return repeated - (count > 0 ? presence : 0) - frequency * count;
  });
}

/** Logits with a bias on some. */
export function addBias(
  logits: ArrayLike<number>,
  biases: Iterable<readonly [id: number, bias: number]>,
): Float64Array {
  const out = Float64Array.from(logits);
  for (const [id, bias] of biases) out[id]! += bias;
  return out;
}
