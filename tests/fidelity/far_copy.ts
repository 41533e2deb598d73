/**
 * Runs 65,536 tokens through a model whose heads copy from single far positions, against a float64 reference, with keys
 * and values in f16, q8 and q4; then with five errors put in, each of which must show. Takes some 5 minutes on two
 * processor cores.
 *
 * usage: deno task fidelity:far [CONTEXT_LENGTH]
 *
 * 65,503 tokens are prefilled, in pieces that end at each lookup, which is then fed once more alone, as decoding does; 32
 * are decoded greedily and once more one by one. Compared are all logits after every lookup. The tolerance of a format
 * is twice what rounding keys and values to that format costs the reference itself, and the error bound of a float32 sum
 * of as many terms as there are tokens. A run with an error ends where the error shows. At 65,536, results go to
 * far_copy.json beside this file.
 *
 * @module
 */
import { type KvFormat, loadModel, type Session } from "../../mod.ts";
import { requestDevice } from "../../src/gpu/adapter.ts";
import { safetensors } from "../checkpoint/tiny_checkpoint.ts";
import { buildFarCopy, type FarCopyModel } from "./far_copy_model.ts";
import { type Mutation, mutationsOf, patchKernels } from "./far_copy_mutations.ts";
import { referenceLogits } from "./far_copy_reference.ts";
import { N_DECODED } from "./far_copy_tokens.ts";
import { atMost, holds, largestDifference, line, type Measure } from "./measure.ts";
import { watchLogits } from "./watch_logits.ts";

/** The length that the results are kept of. */
const FULL = 65_536;

/** How many times the tolerance an error must move the logits by. */
const SHOWS = 10;

/** What one run found. */
interface Run {
  readonly kvCache: KvFormat;
  /** Largest difference of a logit after lookups that came at the end of a chunk. */
  readonly prefillError: number;
  /** The same of lookups that were fed alone. */
  readonly decodeError: number;
  /** Tokens fed. */
  readonly fed: number;
}

/** What a run without an error put in found too. */
interface WholeRun extends Run {
  /** Decoded tokens that are the chain's, up to the first that is not. */
  readonly greedyTokens: number;
}

const contextLength = Number(Deno.args[0] ?? FULL);
if (!(Number.isInteger(contextLength / 16) && contextLength >= 8192)) {
  console.error("usage: deno task fidelity:far [CONTEXT_LENGTH], a multiple of 16 from 8192 on");
  Deno.exit(1);
}

const began = performance.now();
const model = buildFarCopy({ headDim: 64, nLayers: 1, contextLength, nPrompt: contextLength - N_DECODED - 1 });
const folder = await Deno.makeTempDir({ prefix: "far-copy-" });
let failed = 0;
try {
  await writeCheckpoint(folder, model);
  const exact = referenceLogits(model, "f32");
  const sumError = contextLength * 2 ** -24;
  const formats = [];
  for (const kvCache of ["f16", "q8", "q4"] as const) {
    const tolerance = 2 * largestOf(exact, referenceLogits(model, kvCache)) + sumError;
    const found = await runWhole(exact, kvCache);
    report(atMost(`KV ${kvCache}: logits after lookups in a chunk`, tolerance, found.prefillError));
    report(atMost(`KV ${kvCache}: logits after lookups alone`, tolerance, found.decodeError));
    const isWhole = found.greedyTokens > N_DECODED;
    report(holds(`KV ${kvCache}: copies that decoding follows`, `${N_DECODED + 1}`, `${found.greedyTokens}`, isWhole));
    formats.push({ ...found, tolerance });
  }
  const mutations = [];
  for (const mutation of mutationsOf(model)) {
    const { name, kvCache } = mutation;
    const { tolerance } = formats.find((format) => format.kvCache === kvCache)!;
    const found = await runMutated(exact, mutation, SHOWS * tolerance);
    const moved = Math.max(found.prefillError, found.decodeError) / tolerance;
    const got = `${moved.toFixed(0)} times after ${found.fed} tokens`;
    report(holds(`${name}, KV ${kvCache}: moved by`, `> ${SHOWS} times the tolerance`, got, moved > SHOWS));
    mutations.push({ name, ...found, timesTolerance: Math.round(moved) });
  }
  const seconds = Math.round((performance.now() - began) / 1000);
  console.log(`${failed === 0 ? "all hold" : `${failed} do not hold`}, ${seconds} s`);
  if (contextLength === FULL) {
    const results = { contextLength, promptTokens: model.shape.nPrompt, decodedTokens: N_DECODED, formats, mutations };
    await Deno.writeTextFile(new URL("far_copy.json", import.meta.url), `${JSON.stringify(results, null, 1)}\n`);
  }
} finally {
  await Deno.remove(folder, { recursive: true });
}
if (failed > 0) Deno.exit(1);

function report(measure: Measure): void {
  console.log(line(measure));
  if (!measure.passed) failed++;
}

/** Feeds the model's tokens to it; `after` compares the logits after a lookup. */
interface Feeder {
  readonly session: Session;
  after(index: number): Promise<void>;
  found(): Run;
}

async function runWhole(exact: readonly Float64Array[], kvCache: KvFormat): Promise<WholeRun> {
  const { tokens, last, lookups, shape: { nPrompt } } = model;
  return await feed(exact, kvCache, undefined, async ({ session, after, found }) => {
    const rows = [...lookups.entries()];
    for (const [i] of rows.filter(([, { row }]) => row < nPrompt)) await after(i);
    const chain = [...tokens.slice(nPrompt), last];
    const greedy = (await session.generate({ maxTokens: chain.length }).result).tokens;
    session.truncate(nPrompt);
    for (const [i] of rows.filter(([, { row }]) => row >= nPrompt)) await after(i);
    const wrong = chain.findIndex((token, i) => token !== greedy[i]);
    return { ...found(), greedyTokens: wrong < 0 ? chain.length : wrong };
  });
}

/** Runs until a logit is off by more than `enough`, or to the end. */
async function runMutated(exact: readonly Float64Array[], mutation: Mutation, enough: number): Promise<Run> {
  return await feed(exact, mutation.kvCache, mutation, async ({ after, found }) => {
    for (const i of model.lookups.keys()) {
      await after(i);
      if (Math.max(found().prefillError, found().decodeError) > enough) break;
    }
    return found();
  });
}

async function feed<T>(
  exact: readonly Float64Array[],
  kvCache: KvFormat,
  mutation: Mutation | undefined,
  work: (feeder: Feeder) => Promise<T>,
): Promise<T> {
  const { config, tokens, lookups } = model;
  const device = await requestDevice();
  patchKernels(device, mutation?.patches ?? []);
  const logits = watchLogits(device, config.vocab_size as number);
  const { ropeScaling } = mutation ?? {};
  try {
    using loaded = await loadModel(folder, {
      ...{ device, weights: "f32", kvCache, contextLength },
      ...(ropeScaling === undefined ? {} : { ropeScaling }),
    });
    using session = loaded.createSession();
    let [prefillError, decodeError, fed] = [0, 0, 0];
    const errorAfter = async (index: number) => {
      // One token selected, and cut off again: the logits that it was selected by stay.
      await session.generate({ maxTokens: 1 }).result;
      session.truncate(fed);
      return largestDifference(await logits(), exact[index]!);
    };
    return await work({
      session,
      async after(index) {
        const { row } = lookups[index]!;
        fed = row + 1;
        const isChunk = row - session.length > 0;
        session.append(tokens.slice(session.length, fed));
        if (isChunk) prefillError = Math.max(prefillError, await errorAfter(index));
        // All but the last token are cached by now: this pass has one.
        decodeError = Math.max(decodeError, await errorAfter(index));
      },
      found: () => ({ kvCache, prefillError: rounded(prefillError), decodeError: rounded(decodeError), fed }),
    });
  } finally {
    device.destroy();
  }
}

/** Three digits. */
function rounded(value: number): number {
  return Number(value.toPrecision(3));
}

function largestOf(a: readonly Float64Array[], b: readonly Float64Array[]): number {
  return Math.max(...a.map((row, i) => largestDifference(row, b[i]!)));
}

async function writeCheckpoint(folder: string, { config, tensors }: FarCopyModel): Promise<void> {
  const words = { version: "1.0", model: { type: "BPE", vocab: { a: 0 }, merges: [] } };
  await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(config));
  await Deno.writeTextFile(`${folder}/tokenizer.json`, JSON.stringify(words));
  await Deno.writeFile(`${folder}/model.safetensors`, safetensors(tensors).stream());
}
