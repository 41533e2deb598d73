/**
 * Runs many short generations in one process and watches memory and GPU buffers: `deno task faults:leaks [COUNT]`.
 *
 * @module
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { loadModel } from "../../mod.ts";
import { FaultyDevice } from "./faulty_device.ts";

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

const folder = new URL("../testdata/tiny/head_dim_64", import.meta.url).pathname;

/** Generations under way at once. */
const AT_ONCE = 4;

/** What was held at one moment. */
export interface Sample {
  /** Generations so far. */
  readonly generations: number;
  /** Bytes of the process that are in memory. */
  readonly residentBytes: number;
  /** Buffers on the device. */
  readonly buffers: number;
  /** Bytes of these buffers. */
  readonly bufferBytes: number;
}

/**
 * Runs generations of up to six tokens: read to the end, left half way, aborted, sampled, in a session and its fork.
 *
 * @param count How many.
 * @param every Generations between two samples.
 * @param onSample Told of each sample.
 */
export async function manyGenerations(
  count: number,
  every: number,
  onSample: (sample: Sample) => void = () => {},
): Promise<Sample[]> {
  using faulty = await FaultyDevice.request();
  using model = await loadModel(folder, {
    device: faulty.device,
    contextLength: 64,
    prefillChunk: 16,
    maxBatch: AT_ONCE,
  });
  const samples: Sample[] = [];
  for (let done = 0; done < count;) {
    const until = Math.min(count, done + every);
    let next = done;
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      while (next < until) await oneOf(next++);
    }));
    done = until;
    collectGarbage();
    await new Promise((resolve) => setTimeout(resolve, 20));
    const { rss: residentBytes } = Deno.memoryUsage();
    const bufferBytes = [...faulty.live].reduce((sum, { size }) => sum + size, 0);
    samples.push({ generations: done, residentBytes, buffers: faulty.live.size, bufferBytes });
    onSample(samples.at(-1)!);
  }
  return samples;

  async function oneOf(number: number): Promise<void> {
    const prompt = Array.from({ length: 3 + number % 9 }, (_, i) => 3 + (number * 31 + i * 37) % 200);
    switch (number % 5) {
      case 0:
        await model.generate(prompt, { maxTokens: 6 }).result;
        break;
      case 1:
        for await (const _ of model.generate(prompt, { maxTokens: 6 })) break;
        break;
      case 2: {
        const abort = new AbortController();
        const reading = model.generate(prompt, { maxTokens: 6, signal: abort.signal }).result.catch(() => {});
        setTimeout(() => abort.abort(), number % 7);
        await reading;
        break;
      }
      case 3:
        await model.generate(prompt, { maxTokens: 6, temperature: 1, seed: number, topLogprobs: 2 }).result;
        break;
      default: {
        using session = model.createSession();
        session.append(prompt);
        await session.generate({ maxTokens: 2 }).result;
        using fork = session.fork();
        await fork.generate({ maxTokens: 2 }).result;
      }
    }
  }
}

/** How much more the last sample has than one before, as a share of the latter. */
export function growth(samples: readonly Sample[], of: keyof Sample): number {
  const settled = samples[Math.floor(samples.length / 5)]!;
  return samples.at(-1)![of] / settled[of] - 1;
}

if (import.meta.main) {
  const count = Number(Deno.args[0] ?? 10_000);
  const began = performance.now();
  console.log("generations  resident MB  buffers  buffer bytes");
  const samples = await manyGenerations(count, count / 20, ({ generations, residentBytes, buffers, bufferBytes }) => {
    const columns = [String(generations), (residentBytes / 1e6).toFixed(1), String(buffers), String(bufferBytes)];
    console.log(columns.map((text, i) => text.padStart([11, 12, 8, 13][i]!)).join(" "));
  });
  const percent = (of: keyof Sample) => `${(100 * growth(samples, of)).toFixed(2)}%`;
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  console.log(
    `${count} generations in ${seconds} s; from the ${samples[4]!.generations}th to the last: resident memory ` +
      `${percent("residentBytes")}, GPU buffers ${percent("buffers")}, their bytes ${percent("bufferBytes")}`,
  );
  if (growth(samples, "residentBytes") > 0.02 || growth(samples, "buffers") > 0.02) Deno.exit(1);
}
