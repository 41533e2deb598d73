/**
 * Rotary position embedding: one factory from a model's settings to plain data. Every scaling is a set of frequencies
 * and a factor on cos and sin; nothing after this file knows which scaling it was. A few scalings depend on the length
 * of the input, so that the data is asked for by length.
 *
 * All arithmetic is float32, in the order of transformers 5 and jquesnelle/yarn, so that frequencies equal theirs to
 * the bit (1 ulp where torch's own power is not correctly rounded).
 *
 * @module
 */
import { ntkTheta, partNtkBlend, partNtkScale, type PartNtkScaling } from "./part_ntk.ts";
import {
  dynamicYarnAt,
  type DynamicYarnScaling,
  type FrequencyBlend,
  rotaryPeriods,
  yarnAttentionFactor,
  yarnBlend,
  type YarnScaling,
} from "./yarn.ts";

export { parseRopeScaling, type RopeSettings, ropeShape } from "./rope_config.ts";
export { type PartNtkScaling } from "./part_ntk.ts";
export {
  type DynamicYarnRule,
  type DynamicYarnScaling,
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

/** Position interpolation by the input's own length: past `maxPositionEmbeddings` tokens it just fits. */
export interface DynamicLinearScaling {
  /** Marks the member of the union. */
  readonly type: "dynamic-linear";
  /** How many times longer the context may become; frequencies do not depend on it. */
  readonly factor: number;
  /** Up to this many tokens nothing is scaled. */
  readonly maxPositionEmbeddings: number;
}

/** NTK-aware scaling (bloc97, 2023): a larger base, so that the slowest frequency is interpolated and the fastest kept. */
export interface NtkScaling {
  /** Marks the member of the union. */
  readonly type: "ntk";
  /** How many times longer than trained the context becomes. */
  readonly factor: number;
}

/** Dynamic NTK (emozilla, 2023): past `maxPositionEmbeddings` tokens the base grows with the input. */
export interface DynamicNtkScaling {
  /** Marks the member of the union. */
  readonly type: "dynamic";
  /** How strongly the base grows; 1 is just as much as the input is longer. */
  readonly factor: number;
  /** Up to this many tokens nothing is scaled. */
  readonly maxPositionEmbeddings: number;
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

/** LongRoPE (Ding et al., 2024), also called "su": each frequency has its own divisor, one for short and one for long inputs. */
export interface LongRopeScaling {
  /** Marks the member of the union. */
  readonly type: "longrope";
  /** How many times longer than trained the context becomes. */
  readonly factor: number;
  /** Inputs of up to this many tokens take `shortFactor`. */
  readonly originalMaxPositionEmbeddings: number;
  /** Divisors of short inputs: (rotaryDim / 2). */
  readonly shortFactor: readonly number[];
  /** Divisors of longer inputs: (rotaryDim / 2). */
  readonly longFactor: readonly number[];
  /** Replaces the factor on cos and sin that follows from `factor`, for short and long inputs alike. */
  readonly attentionFactor?: number;
}

/** Each frequency has its own divisor, whatever the length: how GGUF files spell the scaling of Llama 3.1. */
export interface FactorScaling {
  /** Marks the member of the union. */
  readonly type: "factors";
  /** Divisors: (rotaryDim / 2). */
  readonly factors: readonly number[];
}

/** Rotates the first share of the pairs, with frequencies laid over the whole head; the others stand still. */
export interface ProportionalScaling {
  /** Marks the member of the union. */
  readonly type: "proportional";
  /** What the frequencies are divided by. */
  readonly factor: number;
  /** Share of the pairs that turns. */
  readonly share: number;
}

/** How a model's rotary frequencies follow from its base. */
export type RopeScaling =
  | NoScaling
  | LinearScaling
  | DynamicLinearScaling
  | NtkScaling
  | DynamicNtkScaling
  | Llama3Scaling
  | LongRopeScaling
  | FactorScaling
  | ProportionalScaling
  | PartNtkScaling
  | YarnScaling
  | DynamicYarnScaling;

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

/** A model's rotary embedding for inputs of any length. */
export interface Rope {
  /** Inputs of up to this many tokens share their frequencies; Infinity where the length never matters. */
  readonly steadyLength: number;
  /** The shortest length with the frequencies of `length`: two inputs share theirs where it is equal. */
  regimeOf(length: number): number;
  /** Frequencies of an input of `length` tokens. */
  frequenciesAt(length: number): RopeFrequencies;
}

const f32 = Math.fround;

/**
 * A model's rotary embedding.
 *
 * @param scaling The model's scaling.
 * @param shape Rotary dimension and base.
 */
export function createRope(scaling: RopeScaling, shape: RopeShape): Rope {
  const steadyLength = steadyLengthOf(scaling);
  const regimeOf = (length: number) =>
    length <= steadyLength ? 0 : scaling.type === "longrope" ? steadyLength + 1 : length;
  const kept = new Map<number, RopeFrequencies>();
  return {
    steadyLength,
    regimeOf,
    frequenciesAt: (length) => {
      const regime = regimeOf(length);
      let frequencies = kept.get(regime);
      if (frequencies === undefined) {
        for (const other of kept.keys()) if (other !== 0) kept.delete(other);
        kept.set(regime, frequencies = ropeFrequencies(scaling, shape, regime));
      }
      return frequencies;
    },
  };
}

function steadyLengthOf(scaling: RopeScaling): number {
  if (scaling.type === "longrope") return scaling.originalMaxPositionEmbeddings;
  return scaling.type.startsWith("dynamic") && "maxPositionEmbeddings" in scaling
    ? scaling.maxPositionEmbeddings
    : Infinity;
}

/**
 * Frequencies of a model.
 *
 * @param scaling The model's scaling.
 * @param shape Rotary dimension and base.
 * @param length Tokens of the whole input, for the scalings that depend on it. Default: a short one.
 * @returns Frequencies, the factor on cos and sin, and the parts that the `rope_table` kernel blends.
 */
export function ropeFrequencies(scaling: RopeScaling, shape: RopeShape, length: number = 0): RopeFrequencies {
  const { blend, attentionFactor = 1 } = blendOf(scaling, shape, length);
  return { type: scaling.type, ...blend, invFreq: blendFrequencies(blend), attentionFactor };
}

/** interpolated * (1 - mask) + extrapolated * mask, rounded after each operation. */
export function blendFrequencies({ extrapolated, interpolated, mask }: FrequencyBlend): Float32Array<ArrayBuffer> {
  return mask.map((share, j) => f32(f32(interpolated[j]! * f32(1 - share)) + f32(extrapolated[j]! * share)));
}

type Blended = { readonly blend: FrequencyBlend; readonly attentionFactor?: number };

function blendOf(scaling: RopeScaling, shape: RopeShape, length: number): Blended {
  const { rotaryDim, ropeTheta } = shape;
  const plain = () => reciprocals(rotaryPeriods(rotaryDim, ropeTheta));
  switch (scaling.type) {
    case "none":
      return { blend: plainBlend(plain()) };
    case "linear":
      return scaled(plain(), (frequency) => frequency / f32(scaling.factor));
    case "dynamic-linear": {
      const share = f32(Math.min(1, scaling.maxPositionEmbeddings / length));
      return scaled(plain(), (frequency) => frequency * share);
    }
    case "ntk":
      return {
        blend: plainBlend(reciprocals(rotaryPeriods(rotaryDim, ntkTheta(ropeTheta, scaling.factor, rotaryDim)))),
      };
    case "dynamic": {
      const { factor, maxPositionEmbeddings: full } = scaling;
      const growth = (factor * Math.max(length, full)) / full - (factor - 1);
      return { blend: plainBlend(reciprocals(rotaryPeriods(rotaryDim, ntkTheta(ropeTheta, growth, rotaryDim)))) };
    }
    case "llama3":
      return scaled(plain(), (frequency) => llama3Frequency(frequency, scaling));
    case "longrope": {
      const divisors = length > scaling.originalMaxPositionEmbeddings ? scaling.longFactor : scaling.shortFactor;
      const periods = rotaryPeriods(rotaryDim, ropeTheta).map((period, j) => f32(f32(divisors[j]!) * period));
      return { blend: plainBlend(reciprocals(periods)), attentionFactor: longRopeAttentionFactor(scaling) };
    }
    case "factors":
      return scaled(plain(), (frequency, j) => frequency / f32(scaling.factors[j]!));
    case "proportional": {
      const nTurning = Math.floor(Math.floor(scaling.share * rotaryDim) / 2);
      return scaled(plain(), (frequency, j) => j < nTurning ? frequency / f32(scaling.factor) : 0);
    }
    case "part-ntk":
    case "dynamic-part-ntk": {
      const scale = partNtkScale(scaling, length);
      return { blend: scale === undefined ? plainBlend(plain()) : partNtkBlend(scaling, scale, shape) };
    }
    case "dynamic-yarn": {
      const now = dynamicYarnAt(scaling, length);
      if (now.type === "none") return { blend: plainBlend(plain()), attentionFactor: now.attentionFactor };
      return { blend: yarnBlend(now, shape), attentionFactor: yarnAttentionFactor(now) };
    }
    default:
      return { blend: yarnBlend(scaling, shape), attentionFactor: yarnAttentionFactor(scaling) };
  }
}

function reciprocals(periods: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  return periods.map((period) => f32(1 / period));
}

/** Frequencies that nothing is blended with. */
function plainBlend(frequencies: Float32Array<ArrayBuffer>): FrequencyBlend {
  return {
    extrapolated: frequencies,
    interpolated: frequencies,
    mask: new Float32Array(frequencies.length).fill(1),
  };
}

function scaled(extrapolated: Float32Array<ArrayBuffer>, scale: (frequency: number, j: number) => number): Blended {
  const interpolated = extrapolated.map(scale);
  return { blend: { extrapolated, interpolated, mask: new Float32Array(extrapolated.length) } };
}

function longRopeAttentionFactor(scaling: LongRopeScaling): number {
  const { factor, attentionFactor, originalMaxPositionEmbeddings: original } = scaling;
  return attentionFactor ?? (factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original)));
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
