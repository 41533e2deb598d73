/**
 * The two ways to run a recording: with others in one submit, or alone as a row of submits that the event loop turns
 * between.
 *
 * @module
 */
import { encode } from "./encode.ts";
import type { Faults } from "./faults.ts";
import { headStart, Pacer, SUBMIT_MS } from "./pacer.ts";
import { PARAMS_STRIDE } from "./pipelines.ts";
import { type Readback, ReadbackPool, type ReadRequest } from "./readback.ts";
import type { Recorder } from "./recorder.ts";

/** Dispatches that one submit may hold; their params fill a 1 MiB uniform buffer. */
export const MAX_DISPATCHES = 4096;

/** Milliseconds of running for which the event loop may stand. */
const MOST_STANDING_MS = SUBMIT_MS / 2;

/** See the module's description. */
export class Runner {
  readonly #device: GPUDevice;
  readonly #params: GPUBuffer;
  readonly #faults: Faults;
  readonly #readbacks: ReadbackPool;
  /** Learns how long the work of `run` takes; its unit is a multiply-add. */
  readonly #pacer: Pacer;
  /** Whether the host has been seen to block where it asks for the end of work. */
  #blocks = false;
  /** When the event loop is known to have turned. */
  #turnedAt = 0;
  /** What the uniform buffer begins with: a recording that runs again, as a decoding step does, need not send it again. */
  #sent: { readonly recorder: Recorder; readonly byteLength: number } | undefined;

  /**
   * @param params Uniform buffer that dispatches read their params from, with room for `MAX_DISPATCHES`.
   * @param perMs First guess of the multiply-adds done in a millisecond.
   * @param usage What to tell where there is no memory to read something back.
   */
  constructor(device: GPUDevice, params: GPUBuffer, faults: Faults, perMs: number, usage: () => string) {
    this.#device = device;
    this.#params = params;
    this.#faults = faults;
    this.#readbacks = new ReadbackPool(device, usage);
    this.#pacer = new Pacer(perMs);
  }

  /** As `Gpu.pause`. */
  pause(ms: number): Promise<unknown> | undefined {
    const pause = this.#blocks ? headStart(ms) : 0;
    return pause > 0 ? new Promise((resolve) => setTimeout(resolve, pause)) : undefined;
  }

  /** As `Gpu.submit`. */
  submit(recorders: readonly Recorder[], requests: readonly ReadRequest[]): Readback {
    this.#faults.check();
    const encoder = this.#device.createCommandEncoder();
    const placed = new Map<Recorder, number>();
    let used = 0;
    for (const recorder of recorders) {
      let base = placed.get(recorder);
      if (base === undefined) {
        base = used;
        placed.set(recorder, base);
        used += recorder.params.byteLength;
        if (used > this.#params.size) {
          throw new RangeError(`Cannot submit more than ${MAX_DISPATCHES} dispatches at once`);
        }
        this.#send(recorder, base);
      }
      encode(encoder, recorder.steps, base);
    }
    const readback = this.#readbacks.submit(encoder, requests);
    return { ...readback, fetch: () => this.#faults.raise(readback.fetch(), "read from") };
  }

  /** As `Gpu.run`. */
  async run(recorder: Recorder, signal?: AbortSignal, between?: () => Promise<void>): Promise<void> {
    const { queue } = this.#device;
    const { steps, params } = recorder;
    let previous: Promise<unknown> = Promise.resolve();
    let finished = performance.now();
    // Short recordings in a row, as of a prompt's chunks, wait for no slice before: an abort would never be heard of.
    if (finished - this.#turnedAt > MOST_STANDING_MS) {
      await new Promise((resolve) => setTimeout(resolve));
      this.#turnedAt = performance.now();
    }
    for (let first = 0; first < steps.length;) {
      signal?.throwIfAborted();
      this.#faults.check();
      let work = steps[first]!.cost;
      let last = first + 1;
      while (
        last < steps.length && last - first < MAX_DISPATCHES && work + steps[last]!.cost <= this.#pacer.budget
      ) work += steps[last++]!.cost;
      const slice = steps.slice(first, last);
      const offsets = slice.flatMap((step) => "kernel" in step && step.paramsOffset >= 0 ? [step.paramsOffset] : []);
      const base = offsets[0] ?? 0;
      if (offsets.length > 0) {
        this.#sent = undefined;
        queue.writeBuffer(this.#params, 0, params.subarray(base, offsets.at(-1)! + PARAMS_STRIDE));
      }
      const encoder = this.#device.createCommandEncoder();
      encode(encoder, slice, -base);
      const started = performance.now();
      queue.submit([encoder.finish()]);
      // While this slice runs, the event loop turns: in Deno the slice before is told some 10 ms after its end, and
      // asking for the end of this one would block at once.
      await this.#faults.raise(previous, "finish work on");
      const pause = this.pause(started + this.#pacer.leastMs(work) - performance.now());
      await pause;
      const asked = performance.now();
      if (first > 0 || pause !== undefined) this.#turnedAt = asked;
      const done = queue.onSubmittedWorkDone();
      const returned = performance.now();
      this.#blocks ||= returned - asked > 1;
      if (this.#blocks) this.#pacer.observe(work, returned - started);
      previous = done.then(() => {
        const now = performance.now();
        if (!this.#blocks) this.#pacer.observe(work, now - Math.max(started, finished));
        finished = now;
      });
      previous.catch(() => {});
      first = last;
      if (first < steps.length) await between?.();
    }
    this.#faults.check();
  }

  /** Puts a recording's params into the uniform buffer, for what is submitted from now on. */
  #send(recorder: Recorder, base: number): void {
    const { byteLength } = recorder.params;
    if (byteLength === 0) return;
    if (base === 0) {
      if (this.#sent?.recorder === recorder && this.#sent.byteLength === byteLength) return;
      this.#sent = { recorder, byteLength };
    }
    this.#device.queue.writeBuffer(this.#params, base, recorder.params);
  }

  /** Frees what bytes are read back through. */
  dispose(): void {
    this.#readbacks.dispose();
  }
}
