/**
 * Whether attention stays as fast as the context grows: what a decoded token costs by byte of keys and values, and a
 * prefilled one by key that it sees, at 4,096 to 65,536 tokens. Exits with 1 where the slowest length is more than 30%
 * off the fastest.
 *
 * usage: deno task bench:flatness
 *
 * As many layers take turns as hold 64 MiB at least, more than a processor's cache does: a model's decoding meets each
 * layer's keys and values once a token. Lengths are measured in turn, so that whatever else the machine does slows all of
 * them.
 *
 * Decoding is measured with the heads of Llama-3-8B, whose layers hold so much at every length and in every format. A
 * layer of SmolLM2-135M holds 0.9 MB of q4 at 4,096 tokens: of the 0.6 ms that it takes on lavapipe, 0.1 are the launches
 * of two dispatches, so that its bytes take a quarter longer than at 65,536, whatever the kernel does.
 *
 * @module
 */
import { Gpu } from "../src/gpu/device.ts";
import type { KvFormat } from "../src/kernels/kv_formats.ts";
import { type HeadsOfModel, Layer, LENGTHS, MODELS } from "./attention.ts";
import { gpuMs } from "./gpu_time.ts";
import { shapeOf } from "./shapes.ts";

/** Bytes of keys and values at every length, at least. */
const KV_BYTES = 2 ** 26;

/** Samples of each length. */
const SAMPLES = 20;

/** Tokens of a prefilled chunk. */
const CHUNK = 64;

/** How much slower the slowest length may be than the fastest. */
const ALLOWED = 1.3;

const gpu = await Gpu.request();
const decoder: HeadsOfModel = { name: "Llama-3-8B", ...shapeOf("Llama-3-8B") };
const prefiller = MODELS[0]!;
console.log(gpu.name);
console.log(`Decode with ${decoder.name}'s heads, medians of ${SAMPLES}`);
console.log(`Prefill with ${prefiller.name}'s heads, medians of ${SAMPLES}`);
let failed = 0;
for (const format of ["f16", "q8", "q4"] as const) {
  await compare(
    `decode ${format}, GB/s of keys and values`,
    async (length) => await decode(format, length),
  );
}
for (const format of ["f16", "q8", "q4"] as const) {
  await compare(`prefill ${format}, GFLOP/s`, (length) => prefill(format, length));
}
gpu.dispose();
if (failed > 0) Deno.exit(1);

/** Something to measure: how much work it is, and the time that it takes once. */
interface Subject extends Disposable {
  /** 10^9 bytes or operations. */
  readonly work: number;
  milliseconds(): Promise<number>;
}

async function compare(
  name: string,
  make: (length: number) => Promise<Subject> | Subject,
): Promise<void> {
  const subjects = await Promise.all(LENGTHS.map(make));
  try {
    const times: number[][] = LENGTHS.map(() => []);
    for (let sample = 0; sample < SAMPLES; sample++) {
      for (const [i, subject] of subjects.entries()) times[i]!.push(await subject.milliseconds());
    }
    const rates = subjects.map(({ work }, i) => work / median(times[i]!) * 1000);
    const ratio = Math.max(...rates) / Math.min(...rates);
    const listed = LENGTHS.map((length, i) => `${length}: ${rates[i]!.toFixed(2)}`).join("   ");
    console.log(`${ratio <= ALLOWED ? "pass" : "FAIL"}  ${name.padEnd(40)} ${listed}   x${ratio.toFixed(2)}`);
    if (ratio > ALLOWED) failed++;
  } finally {
    for (const subject of subjects) subject[Symbol.dispose]();
  }
}

/** One token of as many layers as hold the bytes. */
function decode(format: KvFormat, length: number): Subject {
  const layers = [new Layer(gpu, decoder, format, length - 1, 1)];
  const { kvBytes } = layers[0]!;
  while (layers.length * kvBytes < KV_BYTES) layers.push(new Layer(gpu, decoder, format, length - 1, 1));
  const recorder = gpu.record();
  for (const layer of layers) layer.attention(1, recorder);
  return {
    work: layers.length * kvBytes / 1e9,
    milliseconds: () => gpuMs(gpu, [recorder]),
    [Symbol.dispose]: () => layers.forEach((layer) => layer[Symbol.dispose]()),
  };
}

/** A chunk of tokens, the last of which sees `length`. */
function prefill(format: KvFormat, length: number): Subject {
  const layer = new Layer(gpu, prefiller, format, length - CHUNK, CHUNK);
  const recorder = layer.attention();
  return {
    work: layer.flops / 1e9,
    milliseconds: () => gpuMs(gpu, [recorder]),
    [Symbol.dispose]: () => layer[Symbol.dispose](),
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}
