/**
 * The first form of NTK-by-parts, from the repository of the YaRN paper (`--part-ntk` of its evaluation): slow
 * frequencies interpolated, middle ones with NTK's base, fast ones kept. YaRN replaced it by one ramp.
 *
 * @module
 */
import { findCorrectionDim, type FrequencyBlend, linearRampMask, rotaryPeriods } from "./yarn.ts";

/** Settings of the three-way blend. */
export interface PartNtkScaling {
  /** "dynamic-part-ntk" scales by the input's length over `maxPositionEmbeddings` once it is longer. */
  readonly type: "part-ntk" | "dynamic-part-ntk";
  /** How many times longer than trained the context becomes. */
  readonly factor: number;
  /** Context length that the model was trained with, in tokens. */
  readonly originalMaxPositionEmbeddings: number;
  /** The model's full length; the ramps of the dynamic form are laid by it, as in the repository. */
  readonly maxPositionEmbeddings: number;
  /** Weight of NTK's frequencies against the interpolated ones. The repository has 1. */
  readonly ntkFactor: number;
  /** Weight of the frequencies that stay as they are. The repository has 1. */
  readonly extrapolationFactor: number;
  /** Whether the model was trained with the scaling: the dynamic form then begins at factor full / original. */
  readonly finetuned: boolean;
}

const f32 = Math.fround;

/** Rotations within the original length between which NTK's share falls from 1 to 0. */
const NTK_ROTATIONS = [1.25, 0.75] as const;

/** Rotations within the original length between which the kept share falls from 1 to 0. */
const KEPT_ROTATIONS = [16, 2] as const;

/** The base that NTK-aware scaling replaces `ropeTheta` with: its slowest frequency is the interpolated one. */
export function ntkTheta(ropeTheta: number, factor: number, rotaryDim: number): number {
  return ropeTheta * factor ** (rotaryDim / (rotaryDim - 2));
}

/** The scale of a dynamic form for `length` tokens, undefined where it scales nothing; the scale of a static one. */
export function partNtkScale(scaling: PartNtkScaling, length: number): number | undefined {
  const { type, factor, maxPositionEmbeddings: full, originalMaxPositionEmbeddings: original, finetuned } = scaling;
  if (type === "part-ntk") return factor;
  if (length > full) return length / full;
  return finetuned ? full / original : undefined;
}

/** The blend for a scale; both steps rounded to float32 in the reference's order. */
export function partNtkBlend(
  scaling: PartNtkScaling,
  scale: number,
  { rotaryDim, ropeTheta }: { rotaryDim: number; ropeTheta: number },
): FrequencyBlend {
  const length = scaling.type === "part-ntk" ? scaling.originalMaxPositionEmbeddings : scaling.maxPositionEmbeddings;
  const shape = { rotaryDim, ropeTheta, maxPositionEmbeddings: length };
  const mask = ([first, last]: readonly [number, number], weight: number) => {
    const low = Math.max(Math.floor(findCorrectionDim(first, shape)), 0);
    const high = Math.min(Math.ceil(findCorrectionDim(last, shape)), rotaryDim - 1);
    return linearRampMask(low, high, rotaryDim / 2).map((ramp) => f32(f32(1 - ramp) * f32(weight)));
  };
  const periods = rotaryPeriods(rotaryDim, ropeTheta);
  const linear = periods.map((period) => f32(1 / f32(f32(scale) * period)));
  const ntk = rotaryPeriods(rotaryDim, ntkTheta(ropeTheta, scale, rotaryDim)).map((period) => f32(1 / period));
  const ntkMask = mask(NTK_ROTATIONS, scaling.ntkFactor);
  return {
    extrapolated: periods.map((period) => f32(1 / period)),
    interpolated: linear.map((slow, j) => f32(f32(slow * f32(1 - ntkMask[j]!)) + f32(ntk[j]! * ntkMask[j]!))),
    mask: mask(KEPT_ROTATIONS, scaling.extrapolationFactor),
  };
}
