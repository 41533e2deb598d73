/**
 * Kernels read activations four at a time, so that hiddenSize and intermediateSize are padded to multiples of 4 with
 * weights that are zero. Every model in use has such sizes already, and then nothing here changes anything.
 *
 * @module
 */
import type { ModelConfig } from "./config.ts";

/** The next multiple of 4. */
export function padded(extent: number): number {
  return Math.ceil(extent / 4) * 4;
}

/**
 * The config that the forward pass of padded weights runs with.
 *
 * Padding makes a mean of squares smaller by n / padded(n). An eps that is smaller by the same factor, and gains that
 * are smaller by its square root (`gainScale`), leave every norm's output as it was.
 */
export function paddedConfig(config: ModelConfig): ModelConfig {
  const hiddenSize = padded(config.hiddenSize);
  return {
    ...config,
    hiddenSize,
    intermediateSize: padded(config.intermediateSize),
    rmsNormEps: config.rmsNormEps * config.hiddenSize / hiddenSize,
  };
}

/** What the gains of a norm over `extent` values are multiplied by; 1 where nothing is padded. */
export function gainScale(extent: number): number {
  return Math.sqrt(extent / padded(extent));
}
