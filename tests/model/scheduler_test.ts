import { assertEquals, assertStringIncludes } from "@std/assert";
import { openRuntime } from "../../src/api/load.ts";
import { openModel } from "../../src/api/opened_model.ts";
import { denoSource } from "../../src/checkpoint/deno_source.ts";
import { resolveSampling } from "../../src/generate/sampling.ts";
import { Decoding } from "../../src/model/decoding.ts";
import { notFinite } from "../../src/model/not_finite.ts";
import { prefill } from "../../src/model/prefill.ts";
import { Sequence } from "../../src/model/sequence.ts";
import { FaultyDevice } from "../faults/faulty_device.ts";

const folder = new URL("../testdata/tiny/head_dim_64", import.meta.url).pathname;

/** A model whose rope table has 1,024 positions, with sequences of its own. */
async function scene() {
  const faulty = await FaultyDevice.request();
  const options = { device: faulty.device, contextLength: 2048, prefillChunk: 16, maxBatch: 4 };
  const { runtime } = await openRuntime(await openModel(await denoSource(folder), options), options);
  const sequences: Sequence[] = [];
  const decodings: Decoding[] = [];
  const sequence = () => {
    const made = new Sequence(runtime);
    made.append([5, 9, 33, 71]);
    sequences.push(made);
    return made;
  };
  /** A generation whose first token is there. */
  const decoding = async () => {
    const made = new Decoding(sequence(), resolveSampling());
    decodings.push(made);
    await (await made.begin(0)).tokens();
    return made;
  };
  const end = () => {
    for (const each of decodings) each.end();
    for (const each of sequences) each.dispose();
    runtime.gpu.dispose();
    faulty[Symbol.dispose]();
  };
  return { faulty, runtime, sequence, decoding, [Symbol.dispose]: end };
}

Deno.test("a chunk that waits for tokens on their way keeps the rope table that it was recorded with", async () => {
  using given = await scene();
  const { faulty, runtime, sequence, decoding } = given;
  const [early, late] = [await decoding(), await decoding()];
  const prompt = sequence();
  await prompt.reserve(4);
  const pause = Promise.withResolvers<void>();
  runtime.gpu.pause = () => pause.promise;
  const first = await early.advance(1);
  // A pass is at work on a cache that grows past the table's end ...
  const [asked, goes] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  late.reserve = async () => {
    asked.resolve();
    await goes.promise;
    await late.sequence.reserve(1100);
  };
  const second = late.advance(1);
  await asked.promise;
  const tokens = first.tokens();
  // ... when a chunk has its recording and waits.
  const fed = prefill(prompt, prompt.tokens, { finish: () => Promise.resolve() });
  await new Promise((resolve) => setTimeout(resolve, 20));
  goes.resolve();
  const batch = await second;
  pause.resolve();
  await Promise.all([tokens, fed]);
  await batch.tokens();
  assertEquals(faulty.uncaptured, []);
});

Deno.test("a search for what is not finite goes on where the rope table grows meanwhile", async () => {
  using given = await scene();
  const { faulty, runtime, decoding } = given;
  const [searched, other] = [await decoding(), await decoding()];
  await other.sequence.reserve(1100);
  const { gpu } = runtime;
  const read = gpu.read.bind(gpu);
  gpu.read = async (...args) => {
    gpu.read = read;
    await (await other.advance(1)).tokens();
    return await read(...args);
  };
  const error = await notFinite(searched.sequence, searched.sequence.tokens);
  assertStringIncludes(error.message, "computed again, they are finite");
  assertEquals(faulty.uncaptured, []);
});
