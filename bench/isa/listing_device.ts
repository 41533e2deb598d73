/**
 * A device that computes nothing: it lists the shaders that it is asked to compile. So every kernel that a model uses is
 * found by running the model's own forward pass, whatever its size, on a machine without the memory or the GPU.
 *
 * @module
 */

/** A shader as it would be compiled. */
export interface ListedShader {
  /** The pipeline's label. */
  readonly name: string;
  /** The whole WGSL text. */
  readonly code: string;
  /** A letter for each binding of group 0, in order: s for storage, u for uniform. */
  readonly bindings: string;
}

/** What the device says of itself. */
export interface ListedAdapter {
  /** Lanes of the smallest subgroup. */
  readonly subgroupSize: number;
  /** Largest storage binding in bytes. */
  readonly maxTensorBytes: number;
}

/** A device that lists what it is asked to compile. */
export interface ListingDevice {
  /** To be given to `Gpu.from`. */
  readonly device: GPUDevice;
  /** The shaders so far, in order. */
  readonly shaders: readonly ListedShader[];
}

/** Makes one. Only what `Gpu` and `Recorder` call is there. */
export function createListingDevice({ subgroupSize, maxTensorBytes }: ListedAdapter): ListingDevice {
  const shaders: ListedShader[] = [];
  const done = () => Promise.resolve(undefined);
  const stub = {
    features: new Set(["subgroups"]),
    limits: {
      maxStorageBufferBindingSize: maxTensorBytes,
      maxBufferSize: maxTensorBytes,
      maxComputeWorkgroupsPerDimension: 65535,
      maxComputeWorkgroupStorageSize: 32768,
      maxComputeInvocationsPerWorkgroup: 1024,
    },
    adapterInfo: { description: "listing", subgroupMinSize: subgroupSize },
    lost: new Promise(() => {}),
    addEventListener() {},
    pushErrorScope() {},
    popErrorScope: () => Promise.resolve(null),
    createBuffer: ({ size }: { size: number }) => ({ size, destroy() {} }),
    createBindGroup: () => ({}),
    createBindGroupLayout: ({ entries }: { entries: readonly { buffer: { type: string } }[] }) =>
      entries.map(({ buffer }) => buffer.type === "uniform" ? "u" : "s").join(""),
    createPipelineLayout: ({ bindGroupLayouts: [bindings] }: { bindGroupLayouts: readonly string[] }) => bindings,
    createShaderModule: ({ code }: { code: string }) => ({
      code,
      // naga, which compiles what is listed here, refuses this line.
      getCompilationInfo: () =>
        Promise.resolve({ messages: code.startsWith("enable subgroups") ? [{ type: "error" }] : [] }),
    }),
    createComputePipeline: (
      { label, layout, compute }: { label: string; layout: string; compute: { module: { code: string } } },
    ) => {
      shaders.push({ name: label, code: compute.module.code, bindings: layout });
      return {};
    },
    queue: { writeBuffer() {}, submit() {}, onSubmittedWorkDone: done },
    destroy() {},
  };
  return { device: stub as unknown as GPUDevice, shaders };
}
