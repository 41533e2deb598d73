/**
 * What the adapter can do at most, measured by WGSL kernels in the same process as everything that is compared with it:
 * a copy, multiply-adds and byte products in registers, and dispatches that do nothing.
 *
 * @module
 */
import type { Gpu } from "../src/gpu/device.ts";
import { defineKernel, type Kernel, type ParamType } from "../src/gpu/kernel.ts";
import type { Recorder } from "../src/gpu/recorder.ts";
import { timeDispatches } from "../src/gpu/timestamps.ts";
import { gpuMs } from "./gpu_time.ts";

/** The two ceilings. */
export interface Ceilings {
  /** Bytes read plus bytes written by a copy larger than the caches, in 10^9 a second. */
  readonly copyGbPerS: number;
  /** Multiply-adds in f32 registers, each counted as two, in 10^9 a second. */
  readonly fmaGflopPerS: number;
}

/** Ceilings that only the report on a real GPU needs. */
export interface MoreCeilings {
  /** Products of four signed bytes summed into an integer, each counted as eight operations, in 10^9 a second. */
  readonly dot4GopPerS: number;
  /** Microseconds that a dispatch takes which does nothing and has to wait for the one before. */
  readonly launchUs: number;
}

/** Times of one dispatch, in milliseconds. */
export interface Times {
  /** The middle one. */
  readonly ms: number;
  /** The shortest, which a busy machine disturbs least. */
  readonly bestMs: number;
}

const source = (name: string) => Deno.readTextFileSync(new URL(`${name}.wgsl`, import.meta.url));

const copy: Kernel<"source" | "out", "n4"> = defineKernel({
  name: "copy",
  source: [source("copy")],
  constants: [],
  bindings: { source: "read", out: "read_write" },
  params: { n4: "u32" },
  workgroups: ({ n4 }) => [Math.min(Math.ceil(n4 / 64), 32768), Math.ceil(n4 / 64 / 32768)],
  cost: ({ n4 }) => n4,
});

/** A kernel that works in registers alone, 16 * 32 times a round and invocation, with two operands of a type. */
function inRegisters(name: string, operand: ParamType): Kernel<"out", "n_workgroups" | "a" | "b", "ROUNDS"> {
  return defineKernel({
    name,
    source: [source(name)],
    constants: ["ROUNDS"],
    bindings: { out: "read_write" },
    params: { n_workgroups: "u32", a: operand, b: operand },
    workgroups: ({ n_workgroups }) => [n_workgroups],
    cost: ({ n_workgroups }, { ROUNDS }) => n_workgroups * 64 * ROUNDS * 16 * 32,
  });
}

const fma = inRegisters("fma", "f32");
/** Products of four signed bytes, by dot4I8Packed. */
export const dp4a: Kernel<"out", "n_workgroups" | "a" | "b", "ROUNDS"> = inRegisters("dp4a", "u32");

const increment: Kernel<"count"> = defineKernel({
  name: "increment",
  source: [source("increment")],
  constants: [],
  bindings: { count: "read_write" },
  params: {},
  workgroups: () => [1],
  cost: () => 1,
});

/** Mean time of a recording's dispatches: the median and the best of several runs. Needs timestamps. */
export async function measure(gpu: Gpu, recorder: Recorder, samples: number = 15): Promise<Times> {
  const means: number[] = [];
  for (let i = 0; i < samples; i++) {
    const times = await timeDispatches(gpu, recorder);
    means.push(times.reduce((sum, { ms }) => sum + ms, 0) / times.length);
  }
  means.sort((a, b) => a - b);
  return { ms: means[samples >> 1]!, bestMs: means[0]! };
}

/** Measures both ceilings. Takes twice 32 MiB on a software adapter and twice 256 MiB on others, for a moment. */
export async function measureCeilings(gpu: Gpu): Promise<Ceilings> {
  const n4 = (gpu.isSoftware ? 32 : 256) * 2 ** 20 / 16;
  using from = gpu.createTensor("copy source", "f32", [n4 * 4]);
  using to = gpu.createTensor("copy target", "f32", [n4 * 4]);
  const copies = gpu.record();
  copies.dispatch(copy, { source: from, out: to }, { n4 }, {});
  const copied = await measure(gpu, copies);

  const workgroups = gpu.isSoftware ? 32 : 8192;
  const rounds = 256;
  using out = gpu.createTensor("fma", "f32", [workgroups * 64]);
  const fmas = gpu.record();
  fmas.dispatch(fma, { out }, { n_workgroups: workgroups, a: 0.999, b: 0.001 }, { ROUNDS: rounds });
  const computed = await measure(gpu, fmas);
  return {
    copyGbPerS: 2 * from.byteLength / copied.bestMs / 1e6,
    fmaGflopPerS: 2 * workgroups * 64 * rounds * 16 * 32 / computed.bestMs / 1e6,
  };
}

/** Measures the others. */
export async function measureMoreCeilings(gpu: Gpu): Promise<MoreCeilings> {
  const workgroups = gpu.isSoftware ? 32 : 8192;
  const rounds = 64;
  using out = gpu.createTensor("dp4a", "u32", [workgroups * 64]);
  const products = gpu.record();
  products.dispatch(dp4a, { out }, { n_workgroups: workgroups, a: 0x01020304, b: 7 }, { ROUNDS: rounds });
  const computed = await measure(gpu, products);

  using count = gpu.createTensor("count", "u32", [1]);
  const nLaunches = 1000;
  const launches = gpu.record();
  for (let i = 0; i < nLaunches; i++) launches.dispatch(increment, { count }, {}, {});
  await gpuMs(gpu, [launches]);
  const times = [];
  for (let i = 0; i < 9; i++) times.push(await gpuMs(gpu, [launches]));
  times.sort((a, b) => a - b);
  return {
    dot4GopPerS: 8 * workgroups * 64 * rounds * 16 * 32 / computed.bestMs / 1e6,
    launchUs: 1000 * times[4]! / nLaunches,
  };
}
