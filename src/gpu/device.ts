/**
 * The GPU: one device, the tensors made on it, and the two ways to run a recording.
 *
 * @module
 */
import { CapacityError, DeviceLostError } from "../errors.ts";
import { requestDevice, wantsEnableSubgroups } from "./adapter.ts";
import { allocateBuffer, attempt } from "./allocation.ts";
import { Faults } from "./faults.ts";
import { PARAMS_STRIDE, Pipelines } from "./pipelines.ts";
import type { Readback, ReadRequest } from "./readback.ts";
import { type AdapterTraits, Recorder } from "./recorder.ts";
import { MAX_DISPATCHES, Runner } from "./runner.ts";
import { byteLengthOf, type Dtype, Tensor } from "./tensor.ts";

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
  /** What the device's memory is used for: told where there is not enough of it. */
  memoryNote = "";
  readonly #ownsDevice: boolean;
  readonly #params: GPUBuffer;
  readonly #faults: Faults;
  readonly #runner: Runner;
  readonly #tensors = new Set<Tensor>();
  /** What `allocate` makes now. */
  #group: { readonly tensors: Tensor[]; readonly outcomes: Promise<Error | undefined>[] } | undefined;
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
    this.#faults = new Faults(device);
    const params = allocateBuffer(device, {
      label: "params",
      size: MAX_DISPATCHES * PARAMS_STRIDE,
      usage: 0x40 | 0x08, // UNIFORM | COPY_DST
    }, "");
    this.#params = params.result;
    this.#faults.expect(params.outcome);
    this.pipelines = new Pipelines(device, this.#params, enableSubgroups, (outcome) => this.#faults.expect(outcome));
    const perMs = this.isSoftware ? 2e6 : 1e8;
    this.#runner = new Runner(device, this.#params, this.#faults, perMs, () => this.#usage);
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
    if (this.#group === undefined) this.#faults.expect(outcome);
    else this.#group.outcomes.push(outcome);
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
    await this.#faults.raise(this.device.queue.onSubmittedWorkDone(), "finish work on");
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
    this.#faults.check();
  }

  /** Waits until the outcome of every allocation and compilation so far is known. Throws the first failure. */
  settle(): Promise<void> {
    return this.#faults.settle();
  }

  /**
   * Runs recordings in order, in one submit, and copies parts of tensors after them.
   *
   * @param recorders What to run; the same recorder may stand several times.
   * @param requests What can be read afterwards.
   * @returns The bytes of the requests, to be fetched or discarded.
   */
  submit(recorders: readonly Recorder[], requests: readonly ReadRequest[] = []): Readback {
    return this.#runner.submit(recorders, requests);
  }

  /**
   * Time for the event loop, where the host would block in asking for the end of work that takes at least `ms` more. Ask
   * when it is over.
   *
   * @returns Undefined where there is none to give.
   */
  pause(ms: number): Promise<unknown> | undefined {
    return this.#runner.pause(ms);
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
  run(recorder: Recorder, signal?: AbortSignal, between?: () => Promise<void>): Promise<void> {
    return this.#runner.run(recorder, signal, between);
  }

  /** Destroys all tensors, and the device unless it is the caller's. */
  dispose(): void {
    this.#faults.park(new TypeError("The GPU was disposed"));
    for (const tensor of [...this.#tensors]) tensor.dispose();
    this.#runner.dispose();
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
}
