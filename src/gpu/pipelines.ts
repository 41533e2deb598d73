/**
 * Compiled pipelines, one per kernel and set of constants, made on first use.
 *
 * @module
 */
import { ShaderError } from "../errors.ts";
import type { Constants, Kernel } from "./kernel.ts";
import { specialize } from "./specialize.ts";
import type { Tensor } from "./tensor.ts";

/** One specialisation of a kernel, compiled or being compiled, with the bind groups made for it. */
export class Pipeline {
  /** Layout of group 0: the kernel's storage buffers, then its uniform. */
  readonly layout: GPUBindGroupLayout;
  /** Bind groups by the ids of their tensors. */
  readonly bindGroups: Map<string, GPUBindGroup> = new Map();
  readonly #compileNow: () => GPUComputePipeline;
  #compiled: GPUComputePipeline | undefined;

  /** @param compileNow Makes the pipeline at once, where one is needed before it was compiled ahead. */
  constructor(layout: GPUBindGroupLayout, compileNow: () => GPUComputePipeline) {
    this.layout = layout;
    this.#compileNow = compileNow;
  }

  /** The compiled pipeline. */
  get compiled(): GPUComputePipeline {
    return this.#compiled ??= this.#compileNow();
  }

  /** Takes a pipeline that was compiled beside others. */
  set compiled(pipeline: GPUComputePipeline) {
    this.#compiled ??= pipeline;
  }
}

/** Where a bind group is kept, and what it holds. */
interface BindGroupUse {
  readonly bindGroups: Map<string, GPUBindGroup>;
  readonly key: string;
  readonly tensors: readonly Tensor[];
}

/** Bytes between two dispatches' params: the alignment that every adapter grants to dynamic offsets. */
export const PARAMS_STRIDE = 256;

/** Builds and keeps pipelines and bind groups for one device. */
export class Pipelines {
  readonly #device: GPUDevice;
  readonly #params: GPUBuffer;
  readonly #enableSubgroups: boolean;
  readonly #park: (error: Promise<Error | undefined>) => void;
  readonly #cache = new WeakMap<Kernel, Map<string, Pipeline>>();
  readonly #all = new Set<Pipeline>();
  /** The bind groups that hold a tensor: a session has hundreds of them, among thousands of others'. */
  readonly #uses = new Map<Tensor, Set<BindGroupUse>>();
  #isAhead = false;

  /**
   * @param device Where to compile.
   * @param params Uniform buffer that every dispatch reads its params from, at a dynamic offset.
   * @param enableSubgroups Whether this compiler wants the line `enable subgroups;`.
   * @param park Takes the outcome of each build, which WebGPU tells later.
   */
  constructor(
    device: GPUDevice,
    params: GPUBuffer,
    enableSubgroups: boolean,
    park: (error: Promise<Error | undefined>) => void,
  ) {
    this.#device = device;
    this.#params = params;
    this.#enableSubgroups = enableSubgroups;
    this.#park = park;
  }

  /** Number of pipelines compiled so far. */
  get size(): number {
    return this.#all.size;
  }

  /**
   * While `record` runs, new pipelines only begin to be compiled, all at the same time where the device can: a browser
   * compiles on several threads, and otherwise one pipeline after the other. Their outcome is parked like any other.
   */
  ahead(record: () => void): void {
    this.#isAhead = true;
    try {
      record();
    } finally {
      this.#isAhead = false;
    }
  }

  /** The pipeline of a kernel with these constants, compiled now if it is new. */
  get(kernel: Kernel, constants: Constants): Pipeline {
    let specializations = this.#cache.get(kernel);
    if (specializations === undefined) this.#cache.set(kernel, specializations = new Map());
    let key = "";
    for (const name of kernel.constants) key += `${name}=${constants[name]};`;
    let found = specializations.get(key);
    if (found === undefined) {
      specializations.set(key, found = this.#build(kernel, constants));
      this.#all.add(found);
    }
    return found;
  }

  /** The bind group of these tensors, in the order of the kernel's bindings. */
  bind(kernel: Kernel, entry: Pipeline, buffers: Readonly<Record<string, Tensor>>): GPUBindGroup {
    const tensors = Object.keys(kernel.bindings).map((name) => buffers[name]!);
    const key = tensors.map((tensor) => tensor.id).join(",");
    let group = entry.bindGroups.get(key);
    if (group === undefined) {
      const entries: GPUBindGroupEntry[] = tensors.map((tensor, binding) => ({
        binding,
        resource: { buffer: tensor.buffer },
      }));
      const paramsBytes = Object.keys(kernel.params).length * 4;
      if (paramsBytes > 0) {
        entries.push({ binding: entries.length, resource: { buffer: this.#params, size: align16(paramsBytes) } });
      }
      group = this.#device.createBindGroup({ label: kernel.name, layout: entry.layout, entries });
      entry.bindGroups.set(key, group);
      const use = { bindGroups: entry.bindGroups, key, tensors };
      for (const tensor of tensors) {
        const uses = this.#uses.get(tensor);
        if (uses === undefined) this.#uses.set(tensor, new Set([use]));
        else uses.add(use);
      }
    }
    return group;
  }

  /** Forgets the bind groups that hold a tensor which is about to be destroyed. */
  forget(tensor: Tensor): void {
    for (const use of this.#uses.get(tensor) ?? []) {
      use.bindGroups.delete(use.key);
      for (const other of use.tensors) if (other !== tensor) this.#uses.get(other)!.delete(use);
    }
    this.#uses.delete(tensor);
  }

  #build(kernel: Kernel, constants: Constants): Pipeline {
    const device = this.#device;
    const chosen = Object.fromEntries(kernel.constants.map((name) => [name, constants[name]!]));
    const enable = kernel.subgroups === true && this.#enableSubgroups ? "enable subgroups;\n" : "";
    const code = enable + specialize(kernel.source, chosen);
    const entries: GPUBindGroupLayoutEntry[] = Object.values(kernel.bindings).map((access, binding) => ({
      binding,
      visibility: 4, // GPUShaderStage.COMPUTE, spelled out because Node-like hosts have no such global
      buffer: { type: access === "read" ? "read-only-storage" as const : "storage" as const },
    }));
    if (Object.keys(kernel.params).length > 0) {
      entries.push({ binding: entries.length, visibility: 4, buffer: { type: "uniform", hasDynamicOffset: true } });
    }
    device.pushErrorScope("validation");
    const module = device.createShaderModule({ label: kernel.name, code });
    const layout = device.createBindGroupLayout({ label: kernel.name, entries });
    const descriptor: GPUComputePipelineDescriptor = {
      label: kernel.name,
      layout: device.createPipelineLayout({ label: kernel.name, bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: "main" },
    };
    const built = new Pipeline(layout, () => device.createComputePipeline(descriptor));
    let compiling: Promise<GPUComputePipeline | undefined> = Promise.resolve(undefined);
    if (this.#isAhead) compiling = device.createComputePipelineAsync(descriptor);
    else void built.compiled;
    const validating = device.popErrorScope();
    const compiled = compiling.then((pipeline) => {
      if (pipeline !== undefined) built.compiled = pipeline;
      return null;
    }, (error: Error) => error);
    this.#park(
      Promise.all([validating, compiled]).then(async ([invalid, failed]) => {
        const error = invalid ?? failed;
        if (error === null) return undefined;
        const { messages } = await module.getCompilationInfo();
        const where = messages.find((message) => message.type === "error");
        const line = where === undefined ? "" : ` at "${code.split("\n")[where.lineNum - 1]?.trim() ?? ""}"`;
        return new ShaderError(kernel.name, `Cannot compile kernel ${kernel.name}${line}: ${error.message}`);
      }),
    );
    return built;
  }
}

function align16(bytes: number): number {
  return Math.ceil(bytes / 16) * 16;
}
