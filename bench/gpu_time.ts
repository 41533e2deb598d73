/**
 * How long submits take, by the host's clock: what a user waits for.
 *
 * @module
 */
import type { Gpu } from "../src/gpu/device.ts";
import type { Recorder } from "../src/gpu/recorder.ts";

/** Milliseconds from handing over recordings, in one submit, until the device has run them. */
export async function gpuMs(gpu: Gpu, recorders: readonly Recorder[]): Promise<number> {
  const started = performance.now();
  gpu.submit(recorders);
  const asked = performance.now();
  const done = gpu.device.queue.onSubmittedWorkDone();
  const returned = performance.now();
  await done;
  // Deno waits for the device inside the call and sleeps another 10 ms before it tells; others tell when it is so.
  return (returned - asked > 0.05 ? returned : performance.now()) - started;
}
