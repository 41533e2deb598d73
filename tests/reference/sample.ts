/**
 * Twins of the sampling kernels. The f64 twin gives exact probabilities; the integer twin repeats the selection to
 * the token, given the masses that the GPU computed.
 *
 * @module
 */
import type { ResolvedSampling } from "../../src/kernels/sample.ts";

/** 2^31 times each probability over the largest one. */
export function masses(logits: ArrayLike<number>, temperature: number): Float64Array {
  const largest = Array.from(logits).reduce((a, b) => Math.max(a, b));
  return Float64Array.from(logits, (logit) => 2 ** 31 * Math.exp((logit - largest) / temperature));
}

/** Token ids by falling logit, the lower id first among equals. */
function byLogit(logits: ArrayLike<number>): number[] {
  return Array.from(logits, (_, id) => id).sort((a, b) => logits[b]! - logits[a]! || a - b);
}

/** Exact probability of each token, after all filters. */
export function probabilities(logits: ArrayLike<number>, sampling: ResolvedSampling): Float64Array {
  const { temperature, topK, topP, minP } = sampling;
  const order = byLogit(logits);
  const weights = masses(logits, temperature);
  const weight = (id: number) => weights[id]! / 2 ** 31;
  let kept = topK > 0 ? order.slice(0, topK) : order;
  if (topP < 1) {
    const total = kept.reduce((sum, id) => sum + weight(id), 0);
    let sum = 0;
    kept = kept.filter((id) => {
      const isWanted = sum < topP * total;
      sum += weight(id);
      return isWanted;
    });
  }
  kept = kept.filter((id) => weight(id) >= minP);
  const total = kept.reduce((sum, id) => sum + weight(id), 0);
  const out = new Float64Array(logits.length);
  for (const id of kept) out[id] = weight(id) / total;
  return out;
}

/** Bin of a mass above zero: its exponent and the next three bits. */
function bin(mass: number): number {
  const exponent = Math.floor(Math.log2(mass));
  return exponent * 8 + Math.floor(mass / 2 ** exponent * 8) % 8;
}

/**
 * The token that the kernels draw.
 *
 * @param logits f32 logits.
 * @param mass The masses that `sample_mass.wgsl` made of them.
 * @param count Tokens generated before.
 */
export function draw(logits: Float32Array, mass: Uint32Array, sampling: ResolvedSampling, count: number): number {
  const { topK, topP, minP, seed } = sampling;
  const order = byLogit(logits).filter((id) => mass[id]! > 0)
    .sort((a, b) => bin(mass[b]!) - bin(mass[a]!) || logits[b]! - logits[a]! || a - b);
  const sum = (ids: number[]) => BigInt(ids.reduce((total, id) => total + mass[id]!, 0));
  /** How many tokens it takes until their mass is over `limit`. */
  const head = (limit: bigint) => {
    let total = 0n;
    return 1 + order.findIndex((id) => (total += BigInt(mass[id]!)) > limit);
  };
  let kept = sum(topK > 0 ? order.slice(0, topK) : order);
  const share = BigInt(Math.max(1, Math.round(topP * 2 ** 32)));
  if (share < 1n << 32n) kept = sum(order.slice(0, head((kept * share - 1n) >> 32n)));
  if (minP > 0) {
    const enough = sum(order.filter((id) => mass[id]! >= Math.ceil(minP * 2 ** 31)));
    if (enough < kept) kept = enough;
  }
  const random = philox([count, 0, 0, 0], [seed % 2 ** 32, Math.floor(seed / 2 ** 32)])[0]!;
  return order[head((kept * BigInt(random)) >> 32n) - 1]!;
}

/** Philox4x32-10 (Salmon et al., 2011). */
export function philox(counter: readonly number[], key: readonly number[]): number[] {
  let [x0, x1, x2, x3] = counter.map(BigInt) as [bigint, bigint, bigint, bigint];
  let [k0, k1] = key.map(BigInt) as [bigint, bigint];
  const word = (value: bigint) => value & 0xffffffffn;
  for (let round = 0; round < 10; round++) {
    const a = 0xd2511f53n * x0;
    const b = 0xcd9e8d57n * x2;
    [x0, x1, x2, x3] = [(b >> 32n) ^ x1 ^ k0, word(b), (a >> 32n) ^ x3 ^ k1, word(a)];
    k0 = word(k0 + 0x9e3779b9n);
    k1 = word(k1 + 0xbb67ae85n);
  }
  return [x0, x1, x2, x3].map(Number);
}
