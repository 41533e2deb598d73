/**
 * GPU times of single dispatches, by timestamp queries. Only for benches: every dispatch gets a pass of its own.
 *
 * @module
 */
import type { Gpu } from "./device.ts";
import type { Recorder } from "./recorder.ts";

/** One dispatch and how long it took. */
export interface DispatchTime {
  /** The kernel's name. */
  readonly kernel: string;
  /** Time on the GPU in milliseconds; ticks are taken as nanoseconds, which holds for NVIDIA and Mesa's lavapipe. */
  readonly ms: number;
}

/**
 * Runs a recording once and times each of its dispatches; copies are left out.
 *
 * @throws {RangeError} If the device has no timestamps, or the recording has over 2,000 dispatches.
 */
export async function timeDispatches(gpu: Gpu, recorder: Recorder): Promise<DispatchTime[]> {
  if (!gpu.features.timestamps) throw new RangeError("This device has no timestamp queries");
  const steps = recorder.steps.filter((step) => "kernel" in step);
  if (steps.length > 2000) throw new RangeError(`Cannot time more than 2000 dispatches at once, got ${steps.length}`);
  const { device } = gpu;
  const querySet = device.createQuerySet({ type: "timestamp", count: steps.length * 2 });
  const ticks = device.createBuffer({ size: steps.length * 16, usage: 0x200 | 0x04 }); // QUERY_RESOLVE | COPY_SRC
  const staging = device.createBuffer({ size: steps.length * 16, usage: 0x01 | 0x08 });
  try {
    // Submitting the list once uploads its params and warms caches; the timed passes then reuse them.
    await gpu.submit([recorder]);
    const encoder = device.createCommandEncoder();
    steps.forEach((step, i) => {
      const pass = encoder.beginComputePass({
        timestampWrites: { querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 },
      });
      pass.setPipeline(step.pipeline.compiled);
      if (step.paramsOffset >= 0) pass.setBindGroup(0, step.bindGroup, [step.paramsOffset]);
      else pass.setBindGroup(0, step.bindGroup);
      pass.dispatchWorkgroups(...step.grid);
      pass.end();
    });
    encoder.resolveQuerySet(querySet, 0, steps.length * 2, ticks, 0);
    encoder.copyBufferToBuffer(ticks, 0, staging, 0, staging.size);
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(1);
    const times = new BigUint64Array(staging.getMappedRange().slice(0));
    staging.unmap();
    return steps.map((step, i) => ({
      kernel: step.kernel.name,
      ms: Number(times[2 * i + 1]! - times[2 * i]!) / 1e6,
    }));
  } finally {
    querySet.destroy();
    for (const buffer of [ticks, staging]) buffer.destroy();
  }
}
