/**
 * The GPU: one device, the tensors made on it, and the two ways to run a recording.
 *
 * Permanent device callbacks never throw. They park what they learn, and the next call raises it.
 *
 * @module
 */
import { CapacityError, DeviceLostError } from "../errors.ts";
import { requestDevice, wantsEnableSubgroups } from "./adapter.ts";
import { encode } from "./encode.ts";
import { Pacer } from "./pacer.ts";
import { PARAMS_STRIDE, Pipelines } from "./pipelines.ts";
import { type Readback, ReadbackPool, type ReadRequest } from "./readback.ts";
import { type AdapterTraits, Recorder } from "./recorder.ts";
import { byteLengthOf, type Dtype, Tensor } from "./tensor.ts";

/** Dispatches that one submit may hold; their params fill a 1 MiB uniform buffer. */
export const MAX_DISPATCHES = 4096;

/** Optional features of the device. */
export interface GpuFeatures {
  /** Subgroup builtins compile and run. */
  readonly subgroups: boolean;
  /** `enable f16;` compiles. */
  readonly f16: boolean;
  /** Compute passes can be timed. */
  readonly timestamps: boolean;
}

/** One WebGPU device with its pipelines. */
export class Gpu {
  /** The device itself. */
  readonly device: GPUDevice;
  /** Optional features that are on. */
  readonly features: GpuFeatures;
  /** The limits in force. */
  readonly limits: GPUSupportedLimits;
  /** True where the adapter is a CPU, which wants other kernel variants than a GPU does. */
  readonly isSoftware: boolean;
  /** The adapter's own name. */
  readonly name: string;
  /** Pipelines and bind groups of this device. */
  readonly pipelines: Pipelines;
  /** Learns how long prefill work takes; its unit is a multiply-add. */
  readonly pacer: Pacer;
  readonly #ownsDevice: boolean;
  readonly #params: GPUBuffer;
  readonly #readbacks: ReadbackPool;
  readonly #tensors = new Set<Tensor>();
  #pending: Promise<Error | undefined>[] = [];
  #parked: Error | undefined;
  #allocated = 0;

  private constructor(device: GPUDevice, ownsDevice: boolean, enableSubgroups: boolean) {
    this.device = device;
    this.#ownsDevice = ownsDevice;
    this.limits = device.limits;
    const info = device.adapterInfo;
    this.isSoftware = info?.isFallbackAdapter === true ||
      /llvmpipe|swiftshader/i.test(`${info?.architecture} ${info?.description}`);
    this.name = info?.description || [info?.vendor, info?.architecture].filter(Boolean).join(" ") || "unknown adapter";
    this.features = {
      subgroups: device.features.has("subgroups"),
      f16: device.features.has("shader-f16"),
      timestamps: device.features.has("timestamp-query"),
    };
    this.#readbacks = new ReadbackPool(device);
    this.#params = device.createBuffer({
      label: "params",
      size: MAX_DISPATCHES * PARAMS_STRIDE,
      usage: 0x40 | 0x08, // UNIFORM | COPY_DST
    });
    this.pipelines = new Pipelines(device, this.#params, enableSubgroups, (error) => this.#pending.push(error));
    this.pacer = new Pacer(this.isSoftware ? 2e6 : 1e8);
    device.lost.then(({ reason, message }) => {
      const why = reason === "destroyed" ? "it was destroyed" : message || "the driver gave no reason";
      this.#parked ??= new DeviceLostError(`The GPU device was lost: ${why}`);
    });
    device.addEventListener("uncapturederror", (event) => {
      event.preventDefault();
      this.#parked ??= new DeviceLostError(
        `The GPU reported an error: ${(event as GPUUncapturedErrorEvent).error.message}`,
      );
    });
  }

  /**
   * Opens the default adapter's device with all the limits that the adapter has.
   *
   * @throws {GpuUnavailableError} If there is no adapter, or it gives no device.
   */
  static async request(): Promise<Gpu> {
    const device = await requestDevice();
    return new Gpu(device, true, await wantsEnableSubgroups(device));
  }

  /** Uses a caller's device, which stays the caller's to destroy. Its limits and features are used as they are. */
  static async from(device: GPUDevice): Promise<Gpu> {
    return new Gpu(device, false, await wantsEnableSubgroups(device));
  }

  /** Bytes of all live tensors. */
  get allocatedBytes(): number {
    return this.#allocated;
  }

  /** Lanes of the adapter's smallest subgroup; 0 where there are none, or it does not say. */
  get subgroupSize(): number {
    return this.features.subgroups ? this.device.adapterInfo?.subgroupMinSize ?? 0 : 0;
  }

  /** Largest tensor that one binding can hold, in bytes. */
  get maxTensorBytes(): number {
    const limit = Math.min(this.limits.maxStorageBufferBindingSize, this.limits.maxBufferSize);
    return Math.floor(limit / 16) * 16;
  }

  /**
   * Allocates a tensor of zeros. A failure to allocate is told by the next `settle`.
   *
   * @param label What it holds, for error messages.
   * @param dtype Element type.
   * @param shape Extents, outermost first.
   */
  createTensor(label: string, dtype: Dtype, shape: readonly number[]): Tensor {
    const size = byteLengthOf(dtype, shape);
    if (size > this.maxTensorBytes) {
      throw new CapacityError(
        `Cannot allocate ${label}: it takes ${size} bytes and this device binds at most ${this.maxTensorBytes}`,
        { requested: size, available: this.maxTensorBytes, unit: "bytes" },
      );
    }
    this.device.pushErrorScope("out-of-memory");
    this.device.pushErrorScope("validation");
    const buffer = this.device.createBuffer({ label, size, usage: 0x80 | 0x04 | 0x08 }); // STORAGE | COPY_SRC | COPY_DST
    for (let scope = 0; scope < 2; scope++) {
      this.#pending.push(
        this.device.popErrorScope().then((error) =>
          error === null ? undefined : new CapacityError(
            `Cannot allocate ${label} (${size} bytes, ${this.#allocated} bytes are in use): ${
              error.message || "out of memory"
            }`,
            { requested: size, available: 0, unit: "bytes" },
          )
        ),
      );
    }
    const tensor = new Tensor(buffer, dtype, shape, label, (gone) => {
      this.#tensors.delete(gone);
      this.#allocated -= gone.byteLength;
      this.pipelines.forget(gone);
    });
    this.#tensors.add(tensor);
    this.#allocated += size;
    return tensor;
  }

  /** Writes bytes into a tensor, before anything that is submitted later. Offset and length are multiples of 4. */
  upload(tensor: Tensor, data: ArrayBufferView<ArrayBuffer>, byteOffset: number = 0): void {
    this.device.queue.writeBuffer(tensor.buffer, byteOffset, data.buffer, data.byteOffset, data.byteLength);
  }

  /** Hands uploads to the GPU and waits until it has them: until then each is a copy in host memory. */
  async flush(): Promise<void> {
    this.check();
    this.device.queue.submit([]);
    await this.device.queue.onSubmittedWorkDone();
  }

  /** A tensor that holds a copy of `data`. */
  tensorOf(label: string, dtype: Dtype, shape: readonly number[], data: ArrayBufferView<ArrayBuffer>): Tensor {
    const tensor = this.createTensor(label, dtype, shape);
    this.upload(tensor, data);
    return tensor;
  }

  /**
   * A new, empty recording.
   *
   * @param traits What kernel variants are chosen by, in place of this adapter's own: so tests reach every variant.
   */
  record(traits: Partial<AdapterTraits> = {}): Recorder {
    const own = {
      isSoftware: this.isSoftware,
      subgroups: this.features.subgroups,
      subgroupSize: this.subgroupSize,
    };
    return new Recorder(this.pipelines, this.limits.maxComputeWorkgroupsPerDimension, { ...own, ...traits });
  }

  /** Raises what the device reported since the last call, if anything. */
  check(): void {
    if (this.#parked !== undefined) throw this.#parked;
  }

  /** Waits until the outcome of every allocation and compilation so far is known. Throws the first failure. */
  async settle(): Promise<void> {
    const pending = this.#pending;
    this.#pending = [];
    for (const error of await Promise.all(pending)) if (error !== undefined) throw error;
    this.check();
  }

  /**
   * Runs recordings in order, in one submit, and copies parts of tensors after them.
   *
   * @param recorders What to run; the same recorder may stand several times.
   * @param requests What can be read afterwards.
   * @returns The bytes of the requests, to be fetched or discarded.
   */
  submit(recorders: readonly Recorder[], requests: readonly ReadRequest[] = []): Readback {
    this.check();
    const encoder = this.device.createCommandEncoder();
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
        if (recorder.params.byteLength > 0) this.device.queue.writeBuffer(this.#params, base, recorder.params);
      }
      encode(encoder, recorder.steps, base);
    }
    const readback = this.#readbacks.encode(encoder, requests);
    this.device.queue.submit([encoder.finish()]);
    return { ...readback, fetch: () => this.#raise(readback.fetch()) };
  }

  /** Reads a tensor, or a part of it, after everything submitted so far. */
  async read(tensor: Tensor, byteOffset: number = 0, byteLength?: number): Promise<Uint8Array<ArrayBuffer>> {
    const request = { tensor, byteOffset, byteLength: byteLength ?? tensor.byteLength - byteOffset };
    const bytes = await this.submit([], [request]).fetch();
    await this.settle();
    return bytes;
  }

  /**
   * Runs a long recording as a row of submits of about `SUBMIT_MS` each. The event loop turns between them.
   *
   * @param recorder What to run, once.
   * @param signal Stops before the next submit.
   * @param between Called between two submits, and awaited: it may submit other work.
   * @throws The signal's reason if it aborts.
   */
  async run(recorder: Recorder, signal?: AbortSignal, between?: () => Promise<void>): Promise<void> {
    const { steps, params } = recorder;
    let previous: Promise<unknown> = Promise.resolve();
    let finished = performance.now();
    for (let first = 0; first < steps.length;) {
      signal?.throwIfAborted();
      this.check();
      let work = steps[first]!.cost;
      let last = first + 1;
      while (
        last < steps.length && last - first < MAX_DISPATCHES && work + steps[last]!.cost <= this.pacer.budget
      ) work += steps[last++]!.cost;
      const slice = steps.slice(first, last);
      const offsets = slice.flatMap((step) => "kernel" in step && step.paramsOffset >= 0 ? [step.paramsOffset] : []);
      const base = offsets[0] ?? 0;
      if (offsets.length > 0) {
        this.device.queue.writeBuffer(this.#params, 0, params.subarray(base, offsets.at(-1)! + PARAMS_STRIDE));
      }
      const encoder = this.device.createCommandEncoder();
      encode(encoder, slice, -base);
      const started = performance.now();
      this.device.queue.submit([encoder.finish()]);
      // While this slice runs, the event loop turns: in Deno the slice before is told some 10 ms after its end, and
      // asking for the end of this one would block at once.
      await previous;
      const asked = performance.now();
      const done = this.device.queue.onSubmittedWorkDone();
      const returned = performance.now();
      if (returned - asked > 1) this.pacer.observe(work, returned - started);
      previous = done.then(() => {
        const now = performance.now();
        if (returned - asked <= 1) this.pacer.observe(work, now - Math.max(started, finished));
        finished = now;
      });
      previous.catch(() => {});
      first = last;
      if (first < steps.length) await between?.();
    }
    this.check();
  }

  /** Destroys all tensors, and the device unless it is the caller's. */
  dispose(): void {
    for (const tensor of [...this.#tensors]) tensor.dispose();
    this.#readbacks.dispose();
    this.#params.destroy();
    if (this.#ownsDevice) this.device.destroy();
  }

  /** Ends the device when a `using` block ends. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  async #raise<T>(reading: Promise<T>): Promise<T> {
    try {
      return await reading;
    } catch (cause) {
      // The loss of the device has a promise of its own, which may come a turn after the read that failed by it.
      await new Promise((resolve) => setTimeout(resolve));
      this.check();
      throw new DeviceLostError(`Cannot read from the GPU: ${(cause as Error).message}`, { cause });
    }
  }
}
