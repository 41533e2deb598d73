/**
 * llama.cpp as a contestant of `peers.ts`: a Node program, because its binding does not load in Deno. It reads one
 * JSON line a round from stdin, `{"tokens": [...], "count": N}`, and answers with one on stdout.
 *
 * Arguments: the folder that holds node_modules, "vulkan" or "cpu", and the GGUF file.
 */
import { availableParallelism } from "node:os";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [folder, backend, modelPath] = process.argv.slice(2);
const { getLlama } = await import(pathToFileURL(`${folder}/node_modules/node-llama-cpp/dist/index.js`).href);

// More threads than processors make its workers wait for each other.
const maxThreads = availableParallelism();
const onGpu = backend === "vulkan";
const llama = await getLlama({ gpu: onGpu ? "vulkan" : false, build: "never", logLevel: "error", maxThreads });
if (onGpu && llama.gpu !== "vulkan") throw new Error("llama.cpp found no Vulkan device");
const started = performance.now();
const model = await llama.loadModel({ modelPath, gpuLayers: onGpu ? "max" : 0 });
const context = await model.createContext({ contextSize: 2048, batchSize: 512, flashAttention: true });
const sequence = context.getSequence();
const loadMs = performance.now() - started;
const [device] = onGpu ? await llama.getGpuDeviceNames() : [`${maxThreads} CPU threads`];
console.log(JSON.stringify({ device, loadMs }));

for await (const line of createInterface({ input: process.stdin })) {
  const { tokens, count } = JSON.parse(line);
  await sequence.clearHistory();
  const begun = performance.now();
  const times = [];
  for await (const _ of sequence.evaluate(tokens, { temperature: 0 })) {
    times.push(performance.now());
    if (times.length === count) break;
  }
  console.log(JSON.stringify({ prefillMs: times[0] - begun, decodeMs: times.at(-1) - times[0], count: times.length }));
}
await llama.dispose();
process.exit(0);
