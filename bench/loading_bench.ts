/**
 * How fast weights get from files to the GPU, beside how fast the same files can be read at all.
 *
 * @module
 */
import { openCheckpoint } from "../src/checkpoint/checkpoint.ts";
import { denoSource } from "../src/checkpoint/deno_source.ts";
import type { ModelSource } from "../src/checkpoint/source.ts";
import { Gpu } from "../src/gpu/device.ts";
import { parseConfig, parseGgufConfig } from "../src/model/config.ts";
import { disposeWeights, loadWeights, type WeightChoice } from "../src/model/weights.ts";
import { median } from "./generate_bench.ts";

/** Figures of one way to store weights. Times are medians. */
export interface LoadingFigures {
  /** How weights are stored. */
  readonly weights: WeightChoice;
  /** Bytes of the tensors in the files. */
  readonly fileBytes: number;
  /** Bytes of the weights on the GPU. */
  readonly gpuBytes: number;
  /** Milliseconds to open the checkpoint and read its headers. */
  readonly openMs: number;
  /** Milliseconds from the first byte read to the last weight in place. */
  readonly loadMs: number;
  /** Milliseconds that `Deno.readFile` takes for the same files, measured between the rounds. */
  readonly readMs: number;
  /** Milliseconds that reading them into one small buffer takes, as loading does. */
  readonly readPiecesMs: number;
  /** Most bytes of JavaScript's heap and external memory at once. */
  readonly hostBytes: number;
}

/** Measures loading a model in each of some ways, on files that the first read has warmed. */
export async function benchLoading(
  path: string,
  choices: readonly WeightChoice[] = ["auto", "f32", "f16", "q8", "q4"],
  rounds: number = 3,
): Promise<LoadingFigures[]> {
  using gpu = await Gpu.request();
  const figures: LoadingFigures[] = [];
  for (const weights of choices) {
    const opened: number[] = [];
    const loaded: number[] = [];
    const read: number[] = [];
    const readPieces: number[] = [];
    const sizes = { fileBytes: 0, gpuBytes: 0, hostBytes: 0 };
    for (let round = 0; round < rounds; round++) {
      const source = await denoSource(path);
      const files = (await source.list()).filter((name) => /\.(gguf|safetensors|bin)$/.test(name));
      read.push(await timeReading(files, (file) => Deno.readFile(path.endsWith(file) ? path : `${path}/${file}`)));
      readPieces.push(await timeReading(files, (file) => readInPieces(source, file)));
      let started = performance.now();
      const checkpoint = await openCheckpoint(source);
      opened.push(performance.now() - started);
      const config = checkpoint.format === "gguf"
        ? parseGgufConfig(checkpoint.config, checkpoint.tensors, checkpoint.configFile)
        : parseConfig(checkpoint.config, checkpoint.configFile, checkpoint.generationConfig);
      started = performance.now();
      const onGpu = await loadWeights(gpu, config, checkpoint, {
        weights,
        onProgress: ({ total }) => {
          const { heapUsed, external } = Deno.memoryUsage();
          sizes.hostBytes = Math.max(sizes.hostBytes, heapUsed + external);
          sizes.fileBytes = total;
        },
      });
      loaded.push(performance.now() - started);
      sizes.gpuBytes = gpu.allocatedBytes;
      disposeWeights(onGpu);
      source.close();
    }
    figures.push({
      weights,
      ...sizes,
      openMs: median(opened),
      loadMs: median(loaded),
      readMs: median(read),
      readPiecesMs: median(readPieces),
    });
  }
  return figures;
}

async function timeReading(files: readonly string[], read: (file: string) => Promise<unknown>): Promise<number> {
  const started = performance.now();
  for (const file of files) await read(file);
  return performance.now() - started;
}

/** Reads a file in the pieces that loading reads. */
async function readInPieces(source: ModelSource, file: string): Promise<void> {
  const piece = new Uint8Array(2 ** 23);
  const size = await source.size(file);
  for (let begin = 0; begin < size; begin += piece.length) {
    await source.read(file, begin, Math.min(size, begin + piece.length), piece);
  }
}

if (import.meta.main) {
  const [path] = Deno.args;
  if (path === undefined) throw new TypeError("Name a model: a directory or a .gguf file");
  for (const each of await benchLoading(path)) console.log(JSON.stringify(each));
}
