/**
 * Prefill and decode of models by their shape, at depths up to 64k.
 *
 * @module
 */
import type { Gpu } from "../../src/gpu/device.ts";
import type { Recorder } from "../../src/gpu/recorder.ts";
import type { KvFormat } from "../../src/kernels/kv_formats.ts";
import { CapacityError } from "../../src/errors.ts";
import type { Ceilings } from "../ceilings.ts";
import { gpuMs } from "../gpu_time.ts";
import { type ShapeName, shapeOf } from "../shapes.ts";
import { SyntheticModel } from "../synthetic_model.ts";

/** One measurement of a model. */
export interface ModelRow {
  /** Shape of the model. */
  readonly model: ShapeName;
  /** Format of keys and values; weights are q4. */
  readonly kvFormat: KvFormat;
  /** What was measured. */
  readonly phase: "prefill" | "decode";
  /** Tokens of the prompt, or tokens before the decoded one. */
  readonly tokens: number;
  /** Tokens a second. */
  readonly tokensPerSecond?: number;
  /** Chunks of the prompt that were run, of how many; the others' times lie between those of their neighbours. */
  readonly chunks?: readonly [run: number, of: number];
  /** Bytes of weights, keys and values read per decoded token, a second, as a share of what a copy moves. */
  readonly shareOfCopy?: number;
  /** Dispatches of a decoded token. */
  readonly dispatches?: number;
  /** Milliseconds of the host for a token that is submitted alone: encode, submit and read, without the wait for the GPU. */
  readonly hostMs?: number;
  /** Why there is no figure. */
  readonly refused?: string;
}

/** What to measure. */
export interface ModelPlan {
  /** Shapes. */
  readonly models: readonly ShapeName[];
  /** Formats of the cache. */
  readonly kvFormats: readonly KvFormat[];
  /** Prompt lengths; the largest is the context length. */
  readonly prompts: readonly number[];
  /** Tokens before a decoded one. */
  readonly depths: readonly number[];
  /** Tokens of a prefill pass. */
  readonly prefillChunk: number;
  /** Chunks of a prompt that are really run, at most. */
  readonly mostChunks: number;
  /** Decoded tokens in a submit. */
  readonly steps: number;
  /** Seconds after which no further model is begun. */
  readonly secondsInAll: number;
}

/** Measures all that fits the device and the time, largest model first; tells each row as it comes. */
export async function measureModels(
  gpu: Gpu,
  ceilings: Ceilings,
  plan: ModelPlan,
  onRow: (row: ModelRow) => void,
): Promise<ModelRow[]> {
  const rows: ModelRow[] = [];
  const add = (row: ModelRow) => {
    rows.push(row);
    onRow(row);
  };
  const started = performance.now();
  for (const model of plan.models) {
    for (const kvFormat of plan.kvFormats) {
      if (performance.now() - started > plan.secondsInAll * 1000) {
        add({ model, kvFormat, phase: "prefill", tokens: 0, refused: `no time: ${plan.secondsInAll} s are over` });
        continue;
      }
      try {
        await measureModel(gpu, ceilings, plan, model, kvFormat, add);
      } catch (error) {
        if (!(error instanceof CapacityError)) throw error;
        add({ model, kvFormat, phase: "prefill", tokens: 0, refused: error.message });
      }
    }
  }
  return rows;
}

async function measureModel(
  gpu: Gpu,
  ceilings: Ceilings,
  plan: ModelPlan,
  model: ShapeName,
  kvFormat: KvFormat,
  add: (row: ModelRow) => void,
): Promise<void> {
  const { prompts, depths, prefillChunk, steps } = plan;
  const contextLength = Math.max(...prompts, ...depths.map((depth) => depth + steps * 8));
  const options = { config: shapeOf(model), weights: "q4", kvFormat, contextLength, prefillChunk, fill: true } as const;
  using synthetic = await SyntheticModel.create(gpu, options);
  await gpu.settle();
  const chunkMs = new Map<number, number>();
  for (const tokens of prompts) {
    const { ms, run, of } = await prefillMs(gpu, synthetic, plan, tokens, chunkMs);
    add({ model, kvFormat, phase: "prefill", tokens, tokensPerSecond: tokens * 1000 / ms, chunks: [run, of] });
  }
  for (const depth of depths) {
    const step = synthetic.decode(depth + steps);
    const times = [];
    for (let round = -1; round < 5; round++) {
      synthetic.moveTo(depth);
      const ms = await gpuMs(gpu, Array.from({ length: steps }, () => step));
      if (round >= 0) times.push(ms / steps);
    }
    const ms = times.sort((a, b) => a - b)[2]!;
    const gbPerS = (synthetic.weightBytes + synthetic.kvBytes(depth)) / ms / 1e6;
    const dispatches = step.steps.length;
    const shareOfCopy = gbPerS / ceilings.copyGbPerS;
    const figures = { tokensPerSecond: 1000 / ms, shareOfCopy, dispatches, hostMs: await hostMs(gpu, synthetic, step) };
    add({ model, kvFormat, phase: "decode", tokens: depth, ...figures });
  }
}

/** Time that the host is at work on one decoded token; the median of 21. */
async function hostMs(gpu: Gpu, synthetic: SyntheticModel, step: Recorder): Promise<number> {
  const times = [];
  for (let round = 0; round < 21; round++) {
    const began = performance.now();
    const readback = gpu.submit([step], synthetic.reads);
    const submitted = performance.now();
    await gpu.device.queue.onSubmittedWorkDone();
    const done = performance.now();
    const bytes = readback.fetch();
    // The promise is another wait: for a turn of the event loop.
    times.push(submitted - began + performance.now() - done);
    await bytes;
  }
  return times.sort((a, b) => a - b)[10]!;
}

/** Time of a prompt: of all its chunks where they are few, else of some evenly spaced ones, a line drawn between them. */
async function prefillMs(
  gpu: Gpu,
  synthetic: SyntheticModel,
  { prefillChunk, mostChunks }: ModelPlan,
  tokens: number,
  known: Map<number, number>,
): Promise<{ ms: number; run: number; of: number }> {
  const nChunks = Math.ceil(tokens / prefillChunk);
  const nRun = Math.min(nChunks, mostChunks);
  const sampled = [
    ...new Set(Array.from({ length: nRun }, (_, i) => nRun === 1 ? 0 : Math.round(i * (nChunks - 1) / (nRun - 1)))),
  ];
  for (const chunk of sampled) {
    if (known.has(chunk)) continue;
    const position = chunk * prefillChunk;
    synthetic.moveTo(position);
    const recorder = synthetic.prefill(position, Math.min(prefillChunk, tokens - position), chunk === nChunks - 1);
    if (known.size === 0) await gpu.run(recorder);
    const started = performance.now();
    await gpu.run(recorder);
    await gpu.device.queue.onSubmittedWorkDone();
    known.set(chunk, performance.now() - started);
  }
  let ms = 0;
  for (let chunk = 0; chunk < nChunks; chunk++) {
    const after = sampled.find((each) => each >= chunk)!;
    const before = sampled.findLast((each) => each <= chunk)!;
    const [low, high] = [known.get(before)!, known.get(after)!];
    ms += after === before ? low : low + (high - low) * (chunk - before) / (after - before);
  }
  return { ms, run: sampled.length, of: nChunks };
}
