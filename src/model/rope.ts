/**
 * Rotary position embedding: one factory from a model's settings to plain data. Every scaling is a set of frequencies
 * and a factor on cos and sin; nothing after this file knows which scaling it was.
 *
 * All arithmetic is float32, in the order of transformers 5 and jquesnelle/yarn, so that frequencies equal theirs to
 * the bit (1 ulp where torch's own power is not correctly rounded).
 *
 * @module
 */
import { type FrequencyBlend, rotaryPeriods, yarnAttentionFactor, yarnBlend, type YarnScaling } from "./yarn.ts";

export { parseRopeScaling, type RopeSettings } from "./rope_config.ts";
export {
  findCorrectionDim,
  findCorrectionRange,
  type FrequencyBlend,
  linearRampMask,
  yarnMscale,
  type YarnScaling,
} from "./yarn.ts";

/** No scaling: the frequencies that the model was trained with. */
export interface NoScaling {
  /** Marks the member of the union. */
  readonly type: "none";
}

/** Position interpolation (Chen et al., 2023): every frequency divided by the factor. */
export interface LinearScaling {
  /** Marks the member of the union. */
  readonly type: "linear";
  /** How many times longer than trained the context becomes. */
  readonly factor: number;
}

/** Llama 3.1's scaling: slow frequencies divided by the factor, fast ones kept, a blend between. */
export interface Llama3Scaling {
  /** Marks the member of the union. */
  readonly type: "llama3";
  /** What slow frequencies are divided by. */
  readonly factor: number;
  /** Context length that the model was first trained with, in tokens. */
  readonly originalMaxPositionEmbeddings: number;
  /** Wavelengths over original length / this are divided in full. */
  readonly lowFreqFactor: number;
  /** Wavelengths under original length / this are kept. */
  readonly highFreqFactor: number;
}

/** How a model's rotary frequencies follow from its base. */
export type RopeScaling = NoScaling | LinearScaling | Llama3Scaling | YarnScaling;

/** What frequencies depend on besides the scaling. */
export interface RopeShape {
  /** Elements of a head that are rotated, an even number; headDim unless the model rotates a part. */
  readonly rotaryDim: number;
  /** Base of the geometric row of frequencies. */
  readonly ropeTheta: number;
}

/** A model's rotary embedding as data. */
export interface RopeFrequencies extends FrequencyBlend {
  /** The scaling's name. */
  readonly type: RopeScaling["type"];
  /** Radians per position of each pair (j, j + rotaryDim / 2): (rotaryDim / 2) f32, the blend of the three arrays. */
  readonly invFreq: Float32Array<ArrayBuffer>;
  /** Factor on cos and sin. */
  readonly attentionFactor: number;
}

const f32 = Math.fround;

/**
 * Frequencies of a model.
 *
 * @param scaling The model's scaling.
 * @param shape Rotary dimension and base.
 * @returns Frequencies, the factor on cos and sin, and the parts that the `yarn_table` kernel blends.
 */
export function ropeFrequencies(scaling: RopeScaling, shape: RopeShape): RopeFrequencies {
  const blend = blendOf(scaling, shape);
  return {
    type: scaling.type,
    ...blend,
    invFreq: blendFrequencies(blend),
    attentionFactor: scaling.type === "yarn" ? yarnAttentionFactor(scaling) : 1,
  };
}

/** interpolated * (1 - mask) + extrapolated * mask, rounded after each operation. */
export function blendFrequencies({ extrapolated, interpolated, mask }: FrequencyBlend): Float32Array<ArrayBuffer> {
  return mask.map((share, j) => f32(f32(interpolated[j]! * f32(1 - share)) + f32(extrapolated[j]! * share)));
}

function blendOf(scaling: RopeScaling, shape: RopeShape): FrequencyBlend {
  if (scaling.type === "yarn") return yarnBlend(scaling, shape);
  const extrapolated = rotaryPeriods(shape.rotaryDim, shape.ropeTheta).map((period) => f32(1 / period));
  if (scaling.type === "none") {
    return { extrapolated, interpolated: extrapolated, mask: new Float32Array(extrapolated.length).fill(1) };
  }
  const factor = f32(scaling.factor);
  const interpolated = scaling.type === "linear"
    ? extrapolated.map((frequency) => f32(frequency / factor))
    : extrapolated.map((frequency) => llama3Frequency(frequency, scaling));
  return { extrapolated, interpolated, mask: new Float32Array(extrapolated.length) };
}

function llama3Frequency(frequency: number, scaling: Llama3Scaling): number {
  const { lowFreqFactor: low, highFreqFactor: high, originalMaxPositionEmbeddings: original } = scaling;
  const factor = f32(scaling.factor);
  const wavelength = f32(f32(2 * Math.PI) / frequency);
  if (wavelength < f32(original / high)) return frequency;
  if (wavelength > f32(original / low)) return f32(frequency / factor);
  const share = f32(f32(f32(f32(original) / wavelength) - f32(low)) / f32(high - low));
  return f32(f32(f32(f32(1 - share) * frequency) / factor) + f32(share * frequency));
}
