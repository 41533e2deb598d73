import { assert } from "@std/assert";
import { createListingDevice } from "../../bench/isa/listing_device.ts";
import { type ShapeName, shapeOf } from "../../bench/shapes.ts";
import { SyntheticModel } from "../../bench/synthetic_model.ts";
import { Gpu } from "../../src/gpu/device.ts";
import type { Grid } from "../../src/gpu/kernel.ts";
import { Recorder } from "../../src/gpu/recorder.ts";
import type { Tensor } from "../../src/gpu/tensor.ts";
import type { KvFormat } from "../../src/kernels/kv_formats.ts";

/** A dispatch as it is recorded. */
interface Recorded {
  readonly name: string;
  readonly buffers: Readonly<Record<string, Tensor>>;
  readonly params: Readonly<Record<string, number>>;
  readonly grid: Grid;
}

/** What a recording consists of. */
function watch(record: () => void): Recorded[] {
  const { dispatch } = Recorder.prototype;
  const recorded: Recorded[] = [];
  try {
    Recorder.prototype.dispatch = function (this: Recorder, kernel, buffers, params, constants): void {
      const grid = kernel.workgroups(params, constants as Parameters<typeof kernel.workgroups>[1]);
      recorded.push({ name: kernel.name, buffers, params, grid });
      dispatch.call(this, kernel, buffers, params, constants);
    } as typeof dispatch;
    record();
  } finally {
    Recorder.prototype.dispatch = dispatch;
  }
  return recorded;
}

/**
 * Bytes that a dispatch of a decoded token reads, at most: all of every buffer that is bound, but for tables, of which it
 * reads a row, and scratch that has room for more splits. Keys and values count once for each workgroup that takes a head
 * of them.
 */
function bytesOf({ name, buffers, params, grid }: Recorded, nKvHeads: number): number {
  // What stands in for a bias that is not there is not read: it is one of the other buffers.
  const distinct = new Map(Object.entries(buffers).toReversed().map(([binding, tensor]) => [tensor, binding]));
  return [...distinct].reduce((sum, [{ byteLength, shape }, binding]) => {
    if (binding === "table" || name.startsWith("embed")) return sum + byteLength / shape[0]!;
    // Splits are written by attention_decode and read by attention_merge.
    if (name.startsWith("attention_decode") && binding === "partials") return sum;
    if (name === "attention_merge" && binding === "partials") return sum + byteLength / shape[0]! * params.n_splits!;
    if (name.startsWith("attention_decode") && "kv".includes(binding)) return sum + byteLength * grid[0] / nKvHeads;
    return sum + byteLength;
  }, 0);
}

const cases: readonly (readonly [ShapeName, KvFormat, contextLength: number])[] = [
  ["Llama-2-7B", "f16", 65536],
  ["Llama-2-7B", "q4", 256],
  ["Llama-3-8B", "q8", 65536],
  ["Llama-3.2-1B", "q4", 65536],
  ["SmolLM2-135M", "q8", 65536],
  ["SmolLM2-135M", "q4", 256],
];

for (const [shape, kvFormat, contextLength] of cases) {
  Deno.test(`a decoded token reads weights and ${contextLength} keys in ${kvFormat} once: ${shape}`, async () => {
    const { device } = createListingDevice({ subgroupSize: 32, maxTensorBytes: 2 ** 31 - 16 });
    using gpu = await Gpu.from(device);
    const config = shapeOf(shape);
    const options = { config, weights: "q4", kvFormat, contextLength, prefillChunk: 1, fill: false } as const;
    using model = await SyntheticModel.create(gpu, options);
    const depth = contextLength - 1;
    const bytes = watch(() => model.decode(depth)).reduce((sum, each) => sum + bytesOf(each, config.nKvHeads), 0);
    const ratio = bytes / (model.weightBytes + model.kvBytes(depth));
    assert(ratio >= 1 && ratio <= 1.05, `${ratio.toFixed(4)} times the bytes of weights and KV`);
  });
}
