/**
 * The RoPE scaling that a caller chose, or the model's own.
 *
 * @module
 */
import type { ModelConfig } from "./config.ts";
import { parseRopeScaling, type RopeScaling, type RopeShape, ropeShape } from "./rope.ts";

/**
 * RoPE scaling in place of the model's own: `"none"`, or an object as config.json's `rope_scaling` has it. Where it
 * names no original length, that of the model's own scaling is it, or the config's `max_position_embeddings`.
 */
export type RopeChoice = "none" | Readonly<Record<string, unknown>>;

/** What frequencies are made from. */
export interface ChosenRope {
  /** How frequencies are scaled. */
  readonly scaling: RopeScaling;
  /** Rotated elements of a head, and the base. */
  readonly shape: RopeShape;
  /** The field of the config that the scaling comes from, or "option". */
  readonly source: string;
}

/**
 * The scaling to use.
 *
 * @param config The model's config.
 * @param choice The caller's; undefined for the model's own.
 * @throws {FormatError} If the scaling is unknown, has a key that Skein does not know, or a value out of range.
 */
export function chooseRope(config: ModelConfig, choice: RopeChoice | undefined): ChosenRope {
  const { ropeScaling: scaling, ropeTheta, rotaryDim, headDim, maxPositionEmbeddings } = config;
  if (choice === undefined) return { scaling, shape: { rotaryDim, ropeTheta }, source: config.ropeSource };
  const fields = {
    rope_theta: ropeTheta,
    partial_rotary_factor: rotaryDim / headDim,
    // Of a model that was extended, the length before: a factor counts from there, not from what it became.
    max_position_embeddings: "originalMaxPositionEmbeddings" in scaling
      ? scaling.originalMaxPositionEmbeddings
      : maxPositionEmbeddings,
    rope_scaling: choice === "none" ? null : choice,
  };
  const file = "the option ropeScaling";
  const settings = parseRopeScaling(fields, file);
  return { scaling: settings.scaling, shape: ropeShape(settings, headDim, file), source: "option" };
}
