/**
 * A device that fails on order, and knows which of its buffers exist.
 *
 * @module
 */

/** How an allocation fails: by an out-of-memory error that a scope catches, or at once. */
export type AllocationFailure = "scope" | "throw";

/** A scope that is open, and the error that it was given. */
interface Scope {
  readonly filter: GPUErrorFilter;
  error?: GPUError;
}

/** See the module's description. */
export class FaultyDevice {
  /** The device, for the option `device`. */
  readonly device: GPUDevice;
  /** Buffers that were made and not destroyed. */
  readonly live: Set<GPUBuffer> = new Set();
  /** Errors that no scope has caught. */
  readonly uncaptured: string[] = [];
  /** Calls so far of what allocates, submits or waits. */
  calls = 0;
  /** Buffers asked for so far. */
  allocations = 0;
  /** Told the number of each call, from 0, before it is done. */
  onCall: (call: number) => void = () => {};
  /** Whether and how an allocation, by its number from 0 and its label, fails. */
  failureOf: (allocation: number, label: string) => AllocationFailure | undefined = () => undefined;
  readonly #scopes: Scope[] = [];

  private constructor(device: GPUDevice) {
    this.device = device;
    // Deno asks the adapter on first use, and panics where that is garbage by then.
    void device.adapterInfo;
    device.addEventListener("uncapturederror", (event) => {
      this.uncaptured.push((event as GPUUncapturedErrorEvent).error.message);
    });
    keepCompiled(device);
    const { queue } = device;
    const createBuffer = device.createBuffer.bind(device);
    const push = device.pushErrorScope.bind(device);
    const pop = device.popErrorScope.bind(device);
    device.pushErrorScope = (filter) => {
      this.#scopes.push({ filter });
      push(filter);
    };
    device.popErrorScope = () => {
      const scope = this.#scopes.pop();
      return pop().then((error) => scope?.error ?? error);
    };
    device.createBuffer = (descriptor) => {
      this.#count();
      const failure = this.failureOf(this.allocations++, descriptor.label ?? "");
      if (failure === "throw") throw new TypeError("Not enough memory left");
      return this.#track(failure === undefined ? createBuffer(descriptor) : this.#invalid(createBuffer, descriptor));
    };
    for (const name of ["submit", "writeBuffer", "onSubmittedWorkDone"] as const) {
      // deno-lint-ignore no-explicit-any -- one wrapper for three signatures
      const original = (queue[name] as any).bind(queue);
      // deno-lint-ignore no-explicit-any -- as above
      (queue as any)[name] = (...args: unknown[]) => {
        this.#count();
        return original(...args);
      };
    }
  }

  /** A device of the default adapter, with default limits and no features. */
  static async request(): Promise<FaultyDevice> {
    const adapter = await navigator.gpu.requestAdapter();
    return new FaultyDevice(await adapter!.requestDevice());
  }

  /** Ends the device, as its loss would. */
  [Symbol.dispose](): void {
    this.device.destroy();
  }

  #count(): void {
    this.onCall(this.calls++);
  }

  #track(buffer: GPUBuffer): GPUBuffer {
    this.live.add(buffer);
    const destroy = buffer.destroy.bind(buffer);
    const mapAsync = buffer.mapAsync.bind(buffer);
    buffer.destroy = () => {
      this.live.delete(buffer);
      destroy();
    };
    buffer.mapAsync = (...args) => {
      this.#count();
      return mapAsync(...args);
    };
    return buffer;
  }

  /** A buffer that the device takes for none, with an error for the scope that watches for a lack of memory. */
  #invalid(createBuffer: GPUDevice["createBuffer"], descriptor: GPUBufferDescriptor): GPUBuffer {
    const scope = this.#scopes.findLast(({ filter }) => filter === "out-of-memory");
    if (scope === undefined) throw new Error(`Nobody watches the allocation of ${descriptor.label}`);
    scope.error ??= new GPUOutOfMemoryError("Not enough memory left");
    // This combination of usages does not exist. The device's own error is not for the program.
    GPUDevice.prototype.pushErrorScope.call(this.device, "validation");
    const buffer = createBuffer({ ...descriptor, usage: 0x01 | 0x80 });
    void GPUDevice.prototype.popErrorScope.call(this.device);
    return buffer;
  }
}

/** Has a device compile each kernel once, however many models are loaded on it. */
function keepCompiled(device: GPUDevice): void {
  const modules = new Map<string, GPUShaderModule>();
  const pipelines = new Map<GPUShaderModule, GPUComputePipeline>();
  const kept = <K, V>(all: Map<K, V>, key: K, make: () => V): V => {
    const found = all.get(key) ?? make();
    all.set(key, found);
    return found;
  };
  const createShaderModule = device.createShaderModule.bind(device);
  const createComputePipeline = device.createComputePipeline.bind(device);
  device.createShaderModule = (descriptor) => kept(modules, descriptor.code, () => createShaderModule(descriptor));
  device.createComputePipeline = (descriptor) =>
    kept(pipelines, descriptor.compute.module, () => createComputePipeline(descriptor));
  device.createComputePipelineAsync = (descriptor) => Promise.resolve(device.createComputePipeline(descriptor));
}
