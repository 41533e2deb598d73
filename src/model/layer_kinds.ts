/**
 * Layers that differ in what they dispatch: by the formats of their weights, by the rotation, and by the window.
 *
 * @module
 */
import type { ModelConfig } from "./config.ts";
import type { LlamaWeights } from "./weights.ts";

/** A model's shape and weights with one layer of each kind, the first: enough to run every specialisation of a kernel. */
export function oneLayerOfEachKind(
  config: ModelConfig,
  weights: LlamaWeights,
): { readonly config: ModelConfig; readonly weights: LlamaWeights } {
  const kinds = new Map<string, number>();
  weights.layers.forEach(({ qkvProj, oProj, gateUpProj, downProj }, i) => {
    const formats = [qkvProj, oProj, gateUpProj, downProj].map(({ parts }) => parts.map(({ format }) => format));
    const kind = JSON.stringify([formats, config.noRopeLayers.includes(i), config.slidingLayers.includes(i)]);
    if (!kinds.has(kind)) kinds.set(kind, i);
  });
  const first = [...kinds.values()];
  const among = (layers: readonly number[]) => first.flatMap((layer, i) => layers.includes(layer) ? [i] : []);
  return {
    config: {
      ...{ ...config, nLayers: first.length },
      ...{ slidingLayers: among(config.slidingLayers), noRopeLayers: among(config.noRopeLayers) },
    },
    weights: { ...weights, layers: first.map((layer) => weights.layers[layer]!) },
  };
}
