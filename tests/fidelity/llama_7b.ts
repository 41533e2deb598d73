/**
 * Loads a random model of Llama-2-7B's shape from 13.5 GB of bfloat16 torch.save shards to q4, within 512 MB of host
 * memory, and compares what it decodes with transformers on the same quantised weights. Takes some 15 minutes on two
 * processor cores, 14 GB of disk, and 6 GB of memory where the adapter is the processor.
 *
 * Keys and values are f32, as the reference's are.
 *
 * usage: deno task fidelity:7b FOLDER [PYTHON]
 *
 * FOLDER is made by make_llama_7b.py where it does not hold a checkpoint yet. PYTHON is an interpreter with torch and
 * transformers; default python3. Results go to llama_7b.json beside this file.
 *
 * @module
 */
import { resolve } from "node:path";
import { loadModel } from "../../mod.ts";
import { requestDevice } from "../../src/gpu/adapter.ts";
import { memory as wasmMemory } from "../../wasm/pkg/core_bg.wasm";
import { atMost, holds, largestDifference, line, type Measure } from "./measure.ts";
import { watchLogits } from "./watch_logits.ts";

const PROMPT = "The ship had been at sea for forty days when the lookout saw";
const N_DECODED = 8;
const HOST_LIMIT_MB = 512;
const LARGEST_DIFFERENCE = 5e-2;

const [folderArgument, python = "python3"] = Deno.args;
if (folderArgument === undefined) {
  console.error("usage: deno task fidelity:7b FOLDER [PYTHON]");
  Deno.exit(1);
}
// A task runs in the repository's root; the path is the caller's.
const folder = resolve(Deno.env.get("INIT_CWD") ?? Deno.cwd(), folderArgument);
if (!await exists(`${folder}/pytorch_model.bin.index.json`)) await runPython("make_llama_7b.py");

const decoded = await decode();
console.error("transformers computes the same, layer by layer");
const answer = await runPython("llama_7b_reference.py", JSON.stringify({ tokens: decoded.tokens, last: N_DECODED }));
const reference: number[][] = JSON.parse(answer);
// Position i's distribution is what token i + 1 was chosen from.
const chosen = decoded.chosen.map((id, i) => Math.abs(decoded.logprobs[i]![id]! - reference[i]![id]!));
const all = decoded.logprobs.map((logprobs, i) => largestDifference(logprobs, reference[i]!));
const best = reference.map((logprobs) => Math.max(...logprobs));
const { hostMb, loadSeconds, decodeTokensPerSecond, residentMb, gpuMb } = decoded;
const measures: Measure[] = [
  atMost("host memory while loading: heap, external and Wasm", HOST_LIMIT_MB, hostMb, " MB"),
  atMost(`logprobs of the ${N_DECODED} decoded tokens`, LARGEST_DIFFERENCE, Math.max(...chosen)),
  atMost("logprobs of all tokens at their positions", LARGEST_DIFFERENCE, Math.max(...all)),
  holds("likeliest logprobs: not flat", "> -5 each", best.map((x) => x.toFixed(2)).join(" "), Math.min(...best) > -5),
];
for (const measure of measures) console.log(line(measure));
console.log(
  `loaded in ${loadSeconds} s, ${gpuMb} MB on the GPU, ${decodeTokensPerSecond} tokens/s, process of ${residentMb} MB`,
);
const results = {
  device: decoded.device,
  ...{ hostMb, gpuMb, decodedTokens: decoded.chosen },
  ...{ largestDifferenceOfDecoded: Math.max(...chosen), largestDifferenceOfAll: Math.max(...all), likeliest: best },
};
await Deno.writeTextFile(new URL("llama_7b.json", import.meta.url), `${JSON.stringify(results, null, 1)}\n`);
if (measures.some(({ passed }) => !passed)) Deno.exit(1);

async function decode() {
  const device = await requestDevice();
  const logits = watchLogits(device, 32_000);
  let hostBytes = 0;
  let quarter = 0;
  const began = performance.now();
  using model = await loadModel(folder, {
    ...{ device, weights: "q4", kvCache: "f32", contextLength: 4096 },
    onProgress({ loaded, total }) {
      const { heapUsed, external } = Deno.memoryUsage();
      hostBytes = Math.max(hostBytes, heapUsed + external + wasmMemory.buffer.byteLength);
      if (loaded / total < (quarter + 1) / 4) return;
      quarter++;
      console.error(
        `${Math.round(loaded / 1e9)} of ${Math.round(total / 1e9)} GB, host ${Math.round(hostBytes / 1e6)} MB`,
      );
    },
  });
  const loadSeconds = Math.round((performance.now() - began) / 1000);
  using session = model.createSession();
  session.append(PROMPT);
  const nPrompt = session.length;
  const { tokens: chosen, timings } = await session.generate({ maxTokens: N_DECODED }).result;
  const tokens = session.tokens.slice(0, nPrompt + N_DECODED - 1);
  // Once more, one at a time: between two passes the logits of the first can be read.
  session.truncate(nPrompt);
  const logprobs: Float64Array[] = [];
  for (let i = 0; i < N_DECODED; i++) {
    await session.generate({ maxTokens: 1 }).result;
    logprobs.push(logSoftmax(await logits()));
    session.truncate(nPrompt + i);
    session.append(chosen.slice(i, i + 1));
  }
  return {
    ...{ device: model.deviceName, tokens, chosen, logprobs, loadSeconds, hostMb: Math.round(hostBytes / 1e6) },
    gpuMb: Math.round(model.memory.allocatedBytes / 1e6),
    decodeTokensPerSecond: Number(timings.decodeTokensPerSecond!.toPrecision(3)),
    residentMb: Math.round(Deno.memoryUsage().rss / 1e6),
  };
}

function logSoftmax(logits: Float32Array): Float64Array {
  const values = Float64Array.from(logits);
  const highest = values.reduce((most, x) => Math.max(most, x), -Infinity);
  const sum = values.reduce((total, x) => total + Math.exp(x - highest), 0);
  return values.map((x) => x - highest - Math.log(sum));
}

async function runPython(script: string, input?: string): Promise<string> {
  const path = new URL(script, import.meta.url).pathname;
  const child = new Deno.Command(python, {
    args: [path, folder],
    stdin: input === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  if (input !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(input));
    await writer.close();
  }
  const { success, stdout } = await child.output();
  if (!success) throw new Error(`${script} failed`);
  return new TextDecoder().decode(stdout);
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
