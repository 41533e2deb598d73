/**
 * Skein beside llama.cpp on the same GGUF file, and beside onnxruntime-web on an ONNX export of the same model, with the
 * same token ids on the same machine, in one run: rounds of the contestants are interleaved, so that whatever else the
 * machine does meets all of them alike.
 *
 * usage: deno task bench:peers MODEL.gguf [--onnx FOLDER --prompt-tokens 128 --tokens 16 --rounds 3 --peers FOLDER --json]
 *
 * llama.cpp comes from npm (node-llama-cpp, its own Vulkan and CPU builds) and is installed into dist/peers, or is
 * taken from the folder that --peers names; so is onnxruntime-web, whose WebGPU backend runs on Deno's WebGPU. --onnx
 * names what `python -m onnxruntime_genai.models.builder -m MODEL -p int4 -e webgpu --extra_options prune_lm_head=true`
 * wrote; on a software adapter, which has no fast f16, add use_webgpu_fp32=true. All run greedily with an empty cache;
 * prefill is the time to the first token, decode the time from the first to the last.
 *
 * @module
 */
import { reasonOf, resolvePath } from "../src/cli/command.ts";
import { flag, integer, readOptions, text, UsageError } from "../src/cli/options.ts";
import { loadModel } from "../mod.ts";

const LLAMA_CPP = "node-llama-cpp@3.22.1";
const ONNX_RUNTIME = "onnxruntime-web@1.30.0";

/** One round of one contestant. */
interface Round {
  /** Milliseconds to the first token. */
  readonly prefillMs: number;
  /** Milliseconds from the first token to the last. */
  readonly decodeMs: number;
  /** Tokens generated. */
  readonly count: number;
}

/** Something that generates. */
interface Contestant extends AsyncDisposable {
  /** Shown in the table. */
  readonly name: string;
  /** What it runs on. */
  readonly device: string;
  /** Milliseconds to load the model. */
  readonly loadMs: number;
  /** Runs one round. */
  run(tokens: readonly number[], count: number): Promise<Round>;
}

const { positionals, values } = readOptions(Deno.args, {
  "prompt-tokens": integer("Tokens of the prompt", { min: 2, max: 1024 }),
  "tokens": integer("Tokens to generate", { min: 2, max: 512 }),
  "rounds": integer("Rounds of each contestant", { min: 1, max: 100 }),
  "onnx": text("FOLDER", "int4 export of the same model, for onnxruntime-web"),
  "peers": text("FOLDER", "Folder whose node_modules hold the peers"),
  "json": flag("Print one JSON document"),
});
const [path] = positionals;
if (path === undefined) throw new UsageError("Expected the path of a GGUF file");
const modelPath = resolvePath(path);
await Deno.stat(modelPath).catch((cause) => {
  console.error(`skein: Cannot measure ${JSON.stringify(modelPath)}: ${reasonOf(cause)}`);
  Deno.exit(1);
});
const promptTokens = values["prompt-tokens"] ?? 128;
const count = values.tokens ?? 16;

const packages = values.onnx === undefined ? [LLAMA_CPP] : [LLAMA_CPP, ONNX_RUNTIME];
const peers = values.peers === undefined ? await installPeers() : resolvePath(values.peers);
const skein = await openSkein();
const { contestant, tokens } = skein;
await using vulkan = await openLlamaCpp("vulkan");
await using cpu = await openLlamaCpp("cpu");
await using onnx = values.onnx === undefined ? undefined : await openOnnxRuntime(resolvePath(values.onnx));
await using own = contestant;
const contestants = [own, vulkan, cpu, ...(onnx === undefined ? [] : [onnx])];
const rounds = new Map<Contestant, Round[]>(contestants.map((each) => [each, []]));
// The first round of each pays for what is compiled and mapped on first use; it is run and not counted.
for (let round = -1; round < (values.rounds ?? 3); round++) {
  for (const each of contestants) {
    const result = await each.run(tokens, round < 0 ? 2 : count);
    if (round >= 0) rounds.get(each)!.push(result);
  }
}
report();

async function openSkein(): Promise<{ contestant: Contestant; tokens: readonly number[] }> {
  const started = performance.now();
  const model = await loadModel(modelPath, { contextLength: 2048 });
  const loadMs = performance.now() - started;
  const excerpt = await Deno.readTextFile(new URL("../tests/testdata/pg19/keith_of_the_border.txt", import.meta.url));
  const tokens = Array.from(model.tokenizer.encode(excerpt).slice(0, promptTokens));
  const contestant: Contestant = {
    name: "Skein",
    device: model.deviceName,
    loadMs,
    async run(tokens, count) {
      using session = model.createSession();
      session.append(tokens);
      const { timings, usage } = await session.generate({ maxTokens: count }).result;
      return { prefillMs: timings.firstTokenMs, decodeMs: timings.decodeMs, count: usage.completionTokens };
    },
    [Symbol.asyncDispose]: () => Promise.resolve(model.dispose()),
  };
  return { contestant, tokens };
}

async function openLlamaCpp(backend: "vulkan" | "cpu"): Promise<Contestant> {
  return await openProcess(`llama.cpp ${backend === "vulkan" ? "Vulkan" : "CPU"}`, "node", {
    args: [scriptOf("llama_cpp.mjs"), peers, backend, modelPath],
    // Without a choice it ignores software adapters, and the comparison is about the same adapter.
    env: { GGML_VK_VISIBLE_DEVICES: "0" },
  });
}

async function openOnnxRuntime(folder: string): Promise<Contestant> {
  const args = ["run", "-q", "--allow-read", "--allow-env", scriptOf("onnx_runtime.mjs"), peers, folder];
  return await openProcess("onnxruntime-web", "deno", { args });
}

function scriptOf(name: string): string {
  return new URL(name, import.meta.url).pathname;
}

/** A contestant in a process of its own, which answers JSON lines with JSON lines. */
async function openProcess(name: string, command: string, options: Deno.CommandOptions): Promise<Contestant> {
  const process = new Deno.Command(command, { ...options, stdin: "piped", stdout: "piped" }).spawn();
  const lines = process.stdout.pipeThrough(new TextDecoderStream());
  const reader = lines.getReader();
  let rest = "";
  const read = async () => {
    while (!rest.includes("\n")) {
      const { done, value } = await reader.read();
      if (done) throw new Error(`${name} ended before it answered`);
      rest += value;
    }
    const line = rest.slice(0, rest.indexOf("\n"));
    rest = rest.slice(line.length + 1);
    return JSON.parse(line);
  };
  const writer = process.stdin.getWriter();
  const { device, loadMs } = await read();
  return {
    name,
    device,
    loadMs,
    async run(tokens, count) {
      await writer.write(new TextEncoder().encode(`${JSON.stringify({ tokens, count })}\n`));
      return await read();
    },
    async [Symbol.asyncDispose]() {
      await writer.close();
      await reader.cancel();
      await process.status;
    },
  };
}

async function installPeers(): Promise<string> {
  const folder = new URL("../dist/peers", import.meta.url).pathname;
  const missing = [];
  for (const each of packages) {
    const { isFile } = await Deno.stat(`${folder}/node_modules/${each.split("@")[0]}/package.json`).catch(() => ({
      isFile: false,
    }));
    if (!isFile) missing.push(each);
  }
  if (missing.length > 0) {
    console.error(`skein: installing ${packages.join(" and ")} into dist/peers`);
    const args = ["install", "--prefix", folder, "--no-save", "--ignore-scripts", "--silent", ...packages];
    const { success } = await new Deno.Command("npm", { args, stdout: "null" }).output();
    if (!success) throw new Error(`npm install ${packages.join(" ")} failed`);
  }
  return folder;
}

function report(): void {
  const median = (list: number[]) => list.sort((a, b) => a - b)[list.length >> 1]!;
  const rows = contestants.map((each) => {
    const results = rounds.get(each)!;
    return {
      name: each.name,
      device: each.device,
      load_ms: Math.round(each.loadMs),
      prefill_tokens_per_s: median(results.map(({ prefillMs }) => tokens.length * 1000 / prefillMs)),
      decode_tokens_per_s: median(results.map(({ decodeMs, count }) => (count - 1) * 1000 / decodeMs)),
    };
  });
  if (values.json) {
    console.log(JSON.stringify({ model: path, prompt_tokens: tokens.length, tokens: count, results: rows }));
    return;
  }
  console.log(
    `${path}: ${tokens.length} prompt tokens, ${count} generated, medians of ${rounds.get(own)!.length} rounds\n`,
  );
  console.log(
    `${"".padEnd(18)}${"load s".padStart(8)}${"prefill tok/s".padStart(16)}${"decode tok/s".padStart(16)}  device`,
  );
  const [first] = rows;
  for (const row of rows) {
    const ratio = (mine: number, other: number) => row === first ? "" : ` (x${(mine / other).toFixed(2)})`;
    const prefill = row.prefill_tokens_per_s.toFixed(1) + ratio(first!.prefill_tokens_per_s, row.prefill_tokens_per_s);
    const decode = row.decode_tokens_per_s.toFixed(1) + ratio(first!.decode_tokens_per_s, row.decode_tokens_per_s);
    console.log(
      `${row.name.padEnd(18)}${(row.load_ms / 1000).toFixed(1).padStart(8)}${prefill.padStart(16)}${
        decode.padStart(16)
      }  ${row.device}`,
    );
  }
  console.log("\n(xN): Skein's figure is N times this one.");
}
