/**
 * The GPU: one device, the tensors made on it, and the two ways to run a recording.
 *
 * Permanent device callbacks never throw. They park what they learn, and the next call raises it.
 *
 * @module
 */
import { CapacityError, DeviceLostError } from "../errors.ts";
import { requestDevice, wantsEnableSubgroups } from "./adapter.ts";
import { allocateBuffer, attempt } from "./allocation.ts";
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
  /** What the device's memory is used for: told where there is not enough of it. */
  memoryNote = "";
  readonly #ownsDevice: boolean;
  readonly #params: GPUBuffer;
  readonly #readbacks: ReadbackPool;
  readonly #tensors = new Set<Tensor>();
  #pending: Promise<Error | undefined>[] = [];
  /** What `allocate` makes now. */
  #group: { readonly tensors: Tensor[]; readonly outcomes: Promise<Error | undefined>[] } | undefined;
  #parked: Error | undefined;
  #isLost = false;
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
    this.#readbacks = new ReadbackPool(device, () => this.#usage);
    const params = allocateBuffer(device, {
      label: "params",
      size: MAX_DISPATCHES * PARAMS_STRIDE,
      usage: 0x40 | 0x08, // UNIFORM | COPY_DST
    }, "");
    this.#params = params.result;
    this.#pending.push(params.outcome);
    this.pipelines = new Pipelines(device, this.#params, enableSubgroups, (error) => this.#pending.push(error));
    this.pacer = new Pacer(this.isSoftware ? 2e6 : 1e8);
    device.lost.then(({ reason, message }) => {
      const why = reason === "destroyed" ? "it was destroyed" : message || "the driver gave no reason";
      this.#parked ??= new DeviceLostError(`The GPU device was lost: ${why}`);
      this.#isLost = true;
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
    return await Gpu.#open(await requestDevice(), true);
  }

  /** Uses a caller's device, which stays the caller's to destroy. Its limits and features are used as they are. */
  static async from(device: GPUDevice): Promise<Gpu> {
    // Deno asks the adapter on first use, and panics where that is garbage by then.
    void device.adapterInfo;
    return await Gpu.#open(device, false);
  }

  static async #open(device: GPUDevice, ownsDevice: boolean): Promise<Gpu> {
    const gpu = new Gpu(device, ownsDevice, await wantsEnableSubgroups(device));
    try {
      await gpu.settle();
      return gpu;
    } catch (error) {
      gpu.dispose();
      throw error;
    }
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
    const usage = 0x80 | 0x04 | 0x08; // STORAGE | COPY_SRC | COPY_DST
    const { result: buffer, outcome } = allocateBuffer(this.device, { label, size, usage }, this.#usage);
    (this.#group?.outcomes ?? this.#pending).push(outcome);
    const tensor = new Tensor(buffer, dtype, shape, label, (gone) => {
      this.#tensors.delete(gone);
      this.#allocated -= gone.byteLength;
      this.pipelines.forget(gone);
    });
    this.#tensors.add(tensor);
    this.#group?.tensors.push(tensor);
    this.#allocated += size;
    return tensor;
  }

  /**
   * Makes tensors, all or none: where the device has no memory for one of them, those that were made are freed, and
   * nobody else hears of it.
   *
   * @param make Makes them by `createTensor`, and may submit work on them. It is called at once.
   * @returns What `make` returns, when it is known that the tensors are there.
   * @throws {CapacityError} If one of them cannot be made.
   */
  async allocate<T>(make: () => T): Promise<T> {
    this.check();
    const group = this.#group = { tensors: [] as Tensor[], outcomes: [] as Promise<Error | undefined>[] };
    try {
      let made: T;
      try {
        // Work on a tensor that is not there fails too, and that is the same failure.
        const { result, outcome } = attempt(this.device, make);
        made = result;
        group.outcomes.push(outcome.then((error) => error && new DeviceLostError(`The GPU refused: ${error.message}`)));
      } finally {
        this.#group = undefined;
      }
      for (const error of await Promise.all(group.outcomes)) if (error !== undefined) throw error;
      this.check();
      return made;
    } catch (error) {
      for (const tensor of group.tensors) tensor.dispose();
      throw error;
    }
  }

  /** Writes bytes into a tensor, before anything that is submitted later. Offset and length are multiples of 4. */
  upload(tensor: Tensor, data: ArrayBufferView<ArrayBuffer>, byteOffset: number = 0): void {
    this.device.queue.writeBuffer(tensor.buffer, byteOffset, data.buffer, data.byteOffset, data.byteLength);
  }

  /** Hands uploads to the GPU and waits until it has them: until then each is a copy in host memory. */
  async flush(): Promise<void> {
    this.check();
    this.device.queue.submit([]);
    await this.#raise(this.device.queue.onSubmittedWorkDone(), "finish work on");
  }

  /** A tensor that holds a copy of `data`. */
  tensorOf(label: string, dtype: Dtype, shape: readonly number[], data: ArrayBufferView<ArrayBuffer>): Tensor {
    const tensor = this.createTensor(label, dtype, shape);
    this.upload(tensor, data);
    return tensor;
  }

  /** What operations choose between variants of a kernel by. */
  get traits(): AdapterTraits {
    const { isSoftware, subgroupSize, features: { subgroups } } = this;
    return { isSoftware, subgroups, subgroupSize };
  }

  /**
   * A new, empty recording.
   *
   * @param traits What kernel variants are chosen by, in place of this adapter's own: so tests reach every variant.
   */
  record(traits: Partial<AdapterTraits> = {}): Recorder {
    return new Recorder(this.pipelines, this.limits.maxComputeWorkgroupsPerDimension, { ...this.traits, ...traits });
  }

  /** Raises what the device reported since the last call, if anything. */
  check(): void {
    if (this.#parked !== undefined) throw this.#parked;
  }

  /** Waits until the outcome of every allocation and compilation so far is known. Throws the first failure. */
  async settle(): Promise<void> {
    const pending = this.#pending;
    this.#pending = [];
    const error = (await Promise.all(pending)).find((error) => error !== undefined);
    if (error !== undefined) {
      // On a lost device compilations fail too, and its loss may be told a turn after them. Any other parked error is
      // likelier to come from the failure than the failure from it: a pipeline that did not compile was submitted.
      await new Promise((resolve) => setTimeout(resolve));
      if (!this.#isLost) throw error;
    }
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
    const readback = this.#readbacks.submit(encoder, requests);
    return { ...readback, fetch: () => this.#raise(readback.fetch(), "read from") };
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
      await this.#raise(previous, "finish work on");
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
    this.#parked ??= new TypeError("The GPU was disposed");
    for (const tensor of [...this.#tensors]) tensor.dispose();
    this.#readbacks.dispose();
    this.#params.destroy();
    if (this.#ownsDevice) this.device.destroy();
  }

  /** Ends the device when a `using` block ends. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  get #usage(): string {
    return `; ${this.#allocated} bytes are in use${this.memoryNote && `, ${this.memoryNote}`}`;
  }

  async #raise<T>(work: Promise<T>, what: string): Promise<T> {
    try {
      return await work;
    } catch (cause) {
      // The loss of the device has a promise of its own, which may come a turn after the work that failed by it.
      await new Promise((resolve) => setTimeout(resolve));
      this.check();
      if (cause instanceof CapacityError) throw cause;
      throw new DeviceLostError(`Cannot ${what} the GPU: ${(cause as Error).message}`, { cause });
    }
  }
}
