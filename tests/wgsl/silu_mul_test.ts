import { siluMul } from "../../src/kernels/silu_mul.ts";
import { siluMul as twin } from "../reference/silu_mul.ts";
import { assertWithinReference, download, gpu, randomFloats, upload } from "./fixture.ts";

for (const [nTokens, dim] of [[1, 4], [97, 1536], [1025, 68], [2, 11008]] as const) {
  Deno.test(`siluMul() agrees with its twin on ${nTokens} tokens of ${dim}`, async () => {
    const values = randomFloats(nTokens * 2 * dim, 1, 8);
    // Gates where exp overflows, and where silu is nearly zero or nearly linear.
    values.set([-200, -88, 200, 0]);
    using gateUp = upload("gate and up", values, [nTokens, 2 * dim]);
    using out = gpu.createTensor("out", "f32", [nTokens, dim]);
    const recorder = gpu.record();
    siluMul(recorder, { gateUp, out, nTokens, dim });
    await gpu.run(recorder);
    assertWithinReference(await download(out), twin(values, nTokens, dim), naive(values, nTokens, dim));
  });
}

function naive(gateUp: Float32Array, nTokens: number, dim: number): Float32Array {
  const out = new Float32Array(nTokens * dim);
  for (let t = 0; t < nTokens; t++) {
    for (let i = 0; i < dim; i++) {
      const gate = gateUp[t * 2 * dim + i]!;
      const silu = Math.fround(gate / Math.fround(1 + Math.fround(Math.exp(-gate))));
      out[t * dim + i] = silu * gateUp[t * 2 * dim + dim + i]!;
    }
  }
  return out;
}
