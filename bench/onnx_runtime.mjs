/**
 * onnxruntime-web's WebGPU backend as a contestant of `peers.ts`: a Deno program, which runs it on Deno's own WebGPU. It
 * speaks as `llama_cpp.mjs` does: it reads one JSON line a round from stdin, `{"tokens": [...], "count": N}`, and
 * answers with one on stdout.
 *
 * Arguments: the folder that holds node_modules, and a folder that onnxruntime-genai's model builder wrote.
 */
import { createInterface } from "node:readline";
import process from "node:process";
import { pathToFileURL } from "node:url";

const [folder, model] = Deno.args;
const ort = await import(
  pathToFileURL(`${folder}/node_modules/onnxruntime-web/dist/ort.webgpu.bundle.min.mjs`).href
);
const { decoder } = JSON.parse(await Deno.readTextFile(`${model}/genai_config.json`)).model;
const { num_hidden_layers: layers, num_key_value_heads: nKvHeads, head_size: headDim, filename, inputs, outputs } =
  decoder;
const perLayer = (names) =>
  Array.from({ length: layers }, (_, i) => names.map((name) => name.replace("%d", String(i)))).flat();
const past = perLayer([inputs.past_key_names, inputs.past_value_names]);
const present = perLayer([outputs.present_key_names, outputs.present_value_names]);

const started = performance.now();
const data = `${filename}.data`;
const session = await ort.InferenceSession.create(await Deno.readFile(`${model}/${filename}`), {
  executionProviders: ["webgpu"],
  logSeverityLevel: 3,
  externalData: [{ path: data, data: await Deno.readFile(`${model}/${data}`) }],
  // Keys and values stay on the GPU, as they do in every contestant.
  preferredOutputLocation: Object.fromEntries(present.map((name) => [name, "gpu-buffer"])),
});
const loadMs = performance.now() - started;
const { type } = session.inputMetadata.find(({ name }) => name === past[0]);
const { description } = (await navigator.gpu.requestAdapter()).info;
console.log(JSON.stringify({ device: `${description}, ${type}`, loadMs }));

const int64 = (values) => new ort.Tensor("int64", BigInt64Array.from(values, BigInt), [1, values.length]);

function emptyCache() {
  const values = type === "float16" ? new Float16Array() : new Float32Array();
  return Object.fromEntries(past.map((name) => [name, new ort.Tensor(type, values, [1, nKvHeads, 0, headDim])]));
}

/** The likeliest token of the last row. */
function argmax({ data, dims: [, rows, vocabulary] }) {
  const row = data.subarray((rows - 1) * vocabulary);
  return row.reduce((best, value, i) => value > row[best] ? i : best, 0);
}

for await (const line of createInterface({ input: process.stdin })) {
  const { tokens, count } = JSON.parse(line);
  const times = [];
  const ids = [];
  let cache = emptyCache();
  const begun = performance.now();
  for (let next = tokens, length = 0; times.length < count; next = [ids.at(-1)]) {
    length += next.length;
    const results = await session.run({
      ...cache,
      [inputs.input_ids]: int64(next),
      [inputs.attention_mask]: int64(Array(length).fill(1)),
    });
    ids.push(argmax(results[outputs.logits]));
    times.push(performance.now());
    for (const tensor of Object.values(cache)) tensor.dispose();
    cache = Object.fromEntries(past.map((name, i) => [name, results[present[i]]]));
  }
  for (const tensor of Object.values(cache)) tensor.dispose();
  console.log(JSON.stringify({ prefillMs: times[0] - begun, decodeMs: times.at(-1) - times[0], count: ids.length }));
}
Deno.exit(0);
