/**
 * YaRN (Peng et al., 2023, arXiv 2309.00071): interpolates the slow rotary frequencies, keeps the fast ones, and
 * raises the attention logits a little. The names are the paper's repository's. Where paper and repository differ the
 * checkpoints follow the repository: the ramp is linear in the index of a frequency, not in its wavelength.
 *
 * @module
 */

/** Settings of YaRN, with the defaults filled in. */
export interface YarnScaling {
  /** "ntk-by-parts" is YaRN's predecessor: the same frequencies, and 1 as the factor on cos and sin. */
  readonly type: "yarn" | "ntk-by-parts";
  /** How many times longer than trained the context becomes. */
  readonly factor: number;
  /** Context length that the model was trained with, in tokens. */
  readonly originalMaxPositionEmbeddings: number;
  /** Frequencies that turn more often than this within the trained length stay as they are. The paper has 32. */
  readonly betaFast: number;
  /** Frequencies that turn less often than this are interpolated in full. The paper has 1. */
  readonly betaSlow: number;
  /** Replaces the factor on cos and sin that follows from `factor`. */
  readonly attentionFactor?: number;
  /** DeepSeek's weight of the logarithm; counts only together with `mscaleAllDim`. */
  readonly mscale?: number;
  /** DeepSeek's weight of the logarithm in the divisor. */
  readonly mscaleAllDim?: number;
  /** Whether the ramp's ends are rounded outwards to whole indices. The paper's repository does so. */
  readonly truncate: boolean;
  /** Whether the checkpoint was trained with this scaling. Static YaRN computes the same either way. */
  readonly finetuned?: boolean;
  /** Weight of the frequencies that stay as they are; the paper's repository has it. Default 1. */
  readonly extrapolationFactor?: number;
  /** Weight of the logarithm in the factor on cos and sin. The paper has 0.1, its Mistral models 0.07. Default 0.1. */
  readonly logWeight?: number;
}

/**
 * Which class of the paper's repository dynamic YaRN follows; they differ. Named after their files:
 * `LlamaDynamicYaRNScaledRotaryEmbedding` stands alone and is the paper's; `modeling_llama_yarn` (and
 * `modeling_mistral_yarn`) measures the length by the full length, not the original one;
 * `modeling_llama_together_yarn` takes the config's factor up to the full length.
 */
export type DynamicYarnRule = "standalone" | "modeling_llama_yarn" | "modeling_llama_together_yarn";

/** Dynamic YaRN: past `maxPositionEmbeddings` tokens the factor grows with the input. */
export interface DynamicYarnScaling extends Omit<YarnScaling, "type" | "attentionFactor" | "mscale" | "mscaleAllDim"> {
  /** Marks the member of the union. */
  readonly type: "dynamic-yarn";
  /** Up to this many tokens nothing grows: YaRN for a fine-tuned model, no scaling for another. */
  readonly maxPositionEmbeddings: number;
  /** The class to follow. */
  readonly rule: DynamicYarnRule;
}

/** The two sets of frequencies and the share of the second, for the `rope_table` kernel. Each is (rotaryDim / 2) f32. */
export interface FrequencyBlend {
  /** Frequencies of a model without scaling. */
  readonly extrapolated: Float32Array<ArrayBuffer>;
  /** Frequencies for the longer context. */
  readonly interpolated: Float32Array<ArrayBuffer>;
  /** 1 takes the extrapolated frequency, 0 the interpolated one. */
  readonly mask: Float32Array<ArrayBuffer>;
}

const f32 = Math.fround;

/** Index, not rounded, of the frequency that turns `nRotations` times within `maxPositionEmbeddings` tokens. */
export function findCorrectionDim(
  nRotations: number,
  { rotaryDim, ropeTheta, maxPositionEmbeddings }: {
    rotaryDim: number;
    ropeTheta: number;
    maxPositionEmbeddings: number;
  },
): number {
  return (rotaryDim * Math.log(maxPositionEmbeddings / (nRotations * 2 * Math.PI))) / (2 * Math.log(ropeTheta));
}

/** First and last index of the ramp. The upper clamp is `rotaryDim - 1`, as in the repository, not half of it. */
export function findCorrectionRange(
  { betaFast, betaSlow, originalMaxPositionEmbeddings, truncate }: YarnScaling,
  { rotaryDim, ropeTheta }: { rotaryDim: number; ropeTheta: number },
): [low: number, high: number] {
  const shape = { rotaryDim, ropeTheta, maxPositionEmbeddings: originalMaxPositionEmbeddings };
  let low = findCorrectionDim(betaFast, shape);
  let high = findCorrectionDim(betaSlow, shape);
  if (truncate) {
    low = Math.floor(low);
    high = Math.ceil(high);
  }
  return [Math.max(low, 0), Math.min(high, rotaryDim - 1)];
}

/** 0 up to `low`, 1 from `high`, a straight line between, for indices 0 to `length` - 1, in float32. */
export function linearRampMask(low: number, high: number, length: number): Float32Array<ArrayBuffer> {
  const end = low === high ? high + 0.001 : high; // a ramp of no length would divide by zero
  const span = f32(end - low);
  return Float32Array.from(
    { length },
    (_, index) => Math.min(Math.max(f32(f32(index - f32(low)) / span), 0), 1),
  );
}

/** Factor on cos and sin: 0.1 ln(factor) + 1, with the logarithm weighted by `weight`; 1 where nothing is extended. */
export function yarnMscale(factor: number, weight: number = 1): number {
  return factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1;
}

/** The factor on cos and sin that a model with these settings wants. */
export function yarnAttentionFactor(scaling: YarnScaling): number {
  const { type, factor, attentionFactor, mscale, mscaleAllDim, logWeight } = scaling;
  if (attentionFactor !== undefined) return attentionFactor;
  if (type === "ntk-by-parts") return 1;
  // Zero counts as absent, and one without the other is ignored: transformers' rule, which checkpoints rely on.
  if (mscale && mscaleAllDim) return yarnMscale(factor, mscale) / yarnMscale(factor, mscaleAllDim);
  return logWeight === undefined ? yarnMscale(factor) : factor <= 1 ? 1 : logWeight * Math.log(factor) + 1;
}

/** ropeTheta^(2 j / rotaryDim) for every pair j, in float32 as torch computes it. */
export function rotaryPeriods(rotaryDim: number, ropeTheta: number): Float32Array<ArrayBuffer> {
  const base = f32(ropeTheta);
  return Float32Array.from({ length: rotaryDim / 2 }, (_, j) => f32(base ** f32((2 * j) / rotaryDim)));
}

/** Both sets of frequencies and their mask, each operation rounded to float32 in the reference's order. */
export function yarnBlend(
  scaling: YarnScaling,
  { rotaryDim, ropeTheta }: { rotaryDim: number; ropeTheta: number },
): FrequencyBlend {
  const periods = rotaryPeriods(rotaryDim, ropeTheta);
  const factor = f32(scaling.factor);
  const extrapolation = f32(scaling.extrapolationFactor ?? 1);
  const [low, high] = findCorrectionRange(scaling, { rotaryDim, ropeTheta });
  return {
    extrapolated: periods.map((period) => f32(1 / period)),
    interpolated: periods.map((period) => f32(1 / f32(factor * period))),
    mask: linearRampMask(low, high, rotaryDim / 2).map((ramp) => f32(f32(1 - ramp) * extrapolation)),
  };
}

/**
 * Static YaRN for `length` tokens of a dynamic one, or what stands in for it up to `maxPositionEmbeddings`: nothing,
 * with a factor on cos and sin.
 */
export function dynamicYarnAt(
  scaling: DynamicYarnScaling,
  length: number,
): YarnScaling | { readonly type: "none"; readonly attentionFactor: number } {
  const { rule, maxPositionEmbeddings: full, originalMaxPositionEmbeddings: original, finetuned } = scaling;
  const isTogether = rule === "modeling_llama_together_yarn";
  if (length <= full && finetuned !== true) {
    // The class keeps the factor that it was constructed with, although nothing is scaled yet.
    return { type: "none", attentionFactor: isTogether ? yarnMscale(scaling.factor) : 1 };
  }
  const factor = length > full
    ? length / (rule === "modeling_llama_yarn" ? full : original)
    : isTogether
    ? scaling.factor
    : full / original;
  const { betaFast, betaSlow, truncate, extrapolationFactor = 1, logWeight } = scaling;
  return {
    ...{ type: "yarn", factor, originalMaxPositionEmbeddings: original },
    ...{ betaFast, betaSlow, truncate, extrapolationFactor },
    ...(logWeight === undefined ? {} : { logWeight }),
  };
}
