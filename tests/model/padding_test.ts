import { assert, assertEquals } from "@std/assert";
import { parseConfig } from "../../src/model/config.ts";
import { gainScale, padded, paddedConfig } from "../../src/model/padding.ts";
import { CONFIG } from "../checkpoint/tiny_checkpoint.ts";
import { rmsNorm } from "../reference/rms_norm.ts";

Deno.test("padded() is the next multiple of 4", () => {
  assertEquals([1, 4, 5, 45, 4096].map(padded), [4, 4, 8, 48, 4096]);
});

Deno.test("paddedConfig() leaves a config alone whose sizes are multiples of 4", () => {
  const config = parseConfig(CONFIG);
  assertEquals(paddedConfig(config), config);
  assertEquals(gainScale(config.hiddenSize), 1);
});

Deno.test("paddedConfig() and gainScale() together leave a norm's output as it was", () => {
  const config = parseConfig({ ...CONFIG, hidden_size: 45, intermediate_size: 51, head_dim: 16, rms_norm_eps: 0.5 });
  const { hiddenSize, intermediateSize, rmsNormEps } = paddedConfig(config);
  assertEquals([hiddenSize, intermediateSize], [48, 52]);
  const x = Float64Array.from({ length: 45 }, (_, i) => Math.sin(i));
  const gain = Float64Array.from({ length: 45 }, (_, i) => 1 + i / 45);
  const wide = (values: Float64Array, factor: number) =>
    Float64Array.from({ length: 48 }, (_, i) => (values[i] ?? 0) * factor);
  const exact = rmsNorm(x, gain, 45, 0.5);
  const out = rmsNorm(wide(x, 1), wide(gain, gainScale(45)), 48, rmsNormEps);
  for (let i = 0; i < 45; i++) assert(Math.abs(out[i]! - exact[i]!) < 1e-14);
});
