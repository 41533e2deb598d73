/**
 * Turns recorded steps into GPU commands: one compute pass, broken only where a copy stands between dispatches.
 *
 * @module
 */
import type { Pipeline } from "./pipelines.ts";
import type { Copy, Dispatch } from "./recorder.ts";

/**
 * Encodes steps in order.
 *
 * @param encoder Where to.
 * @param steps What to encode.
 * @param base Added to each dispatch's params offset: where the recorder's params start in the uniform buffer.
 */
export function encode(encoder: GPUCommandEncoder, steps: readonly (Dispatch | Copy)[], base: number): void {
  let pass: GPUComputePassEncoder | undefined;
  let pipeline: Pipeline | undefined;
  // One typed array for all offsets, each read at once: a list for each would take Deno as long again as all the rest.
  const offset = new Uint32Array(1);
  for (const step of steps) {
    if ("copy" in step) {
      pass?.end();
      pass = undefined;
      encoder.copyBufferToBuffer(
        step.source.buffer,
        step.sourceOffset,
        step.target.buffer,
        step.targetOffset,
        step.byteLength,
      );
      continue;
    }
    if (pass === undefined) {
      pass = encoder.beginComputePass();
      pipeline = undefined;
    }
    if (step.pipeline !== pipeline) {
      pipeline = step.pipeline;
      pass.setPipeline(pipeline.compiled);
    }
    if (step.paramsOffset >= 0) {
      offset[0] = base + step.paramsOffset;
      pass.setBindGroup(0, step.bindGroup, offset, 0, 1);
    } else {
      pass.setBindGroup(0, step.bindGroup);
    }
    const [x, y, z] = step.grid;
    pass.dispatchWorkgroups(x, y, z);
  }
  pass?.end();
}
