/**
 * Checks what the runtime computes against transformers, on real checkpoints. Not part of the tests: it takes an
 * hour and data that the repository does not carry.
 *
 * usage: deno task fidelity SMOLLM2 DATA [--missing] [GROUP ...], where a GROUP is logprobs, greedy, seed, chunks,
 * perplexity, scalings, positions, passkey, quality or kv
 *
 * SMOLLM2 holds smollm2-135m (sharded safetensors, f16), smollm2-135m-q4_1.gguf (their source), by make_bin_shards.py
 * smollm2-135m-bin and smollm2-135m-bin-bf16, and by make_wide_heads.py smollm2-135m-wide. DATA holds pg19/books and models with pg-nano-256,
 * pg-nano-yarn-2k, windows.json, reference.json and passkey_trials.json. --missing measures only those of perplexity,
 * scalings, positions and passkey that reference_tables.json lacks. Prints a table; exits with 1 if a line fails.
 *
 * @module
 */
import { resolve } from "node:path";
import { measureChunks } from "./chunks.ts";
import { measureKvFormats } from "./kv_formats.ts";
import { line, type Measure } from "./measure.ts";
import { measurePasskey, measurePerplexity, measurePositions, measureQuality, measureScalings } from "./pg_nano.ts";
import { measureGreedy, measureLogprobs, measureSeed } from "./smollm2.ts";

const onlyMissing = Deno.args.includes("--missing");
const [smollm2Argument, dataArgument, ...wanted] = Deno.args.filter((
  argument,
) => argument !== "--missing");
if (smollm2Argument === undefined || dataArgument === undefined) {
  console.error(
    "usage: deno task fidelity SMOLLM2 DATA [--missing] [GROUP ...]",
  );
  Deno.exit(1);
}

// A task runs in the repository's root; the paths are the caller's.
const home = Deno.env.get("INIT_CWD") ?? Deno.cwd();
const smollm2 = resolve(home, smollm2Argument);
const data = resolve(home, dataArgument);
const files = {
  safetensors: `${smollm2}/smollm2-135m`,
  gguf: `${smollm2}/smollm2-135m-q4_1.gguf`,
  torch: `${smollm2}/smollm2-135m-bin`,
  torchBf16: `${smollm2}/smollm2-135m-bin-bf16`,
  wide: `${smollm2}/smollm2-135m-wide`,
};
const groups: Record<string, () => AsyncIterable<Measure>> = {
  logprobs: () => measureLogprobs(files),
  greedy: () => measureGreedy(files),
  seed: () => measureSeed(files),
  chunks: () => measureChunks(files.safetensors),
  perplexity: () => measurePerplexity(data, onlyMissing),
  scalings: () => measureScalings(data, onlyMissing),
  positions: () => measurePositions(data, onlyMissing),
  passkey: () => measurePasskey(data, onlyMissing),
  quality: () => measureQuality(data),
  kv: async function* () {
    yield* measureKvFormats(`${data}/models/pg-nano-yarn-2k`, data, { length: 2048, nBooks: 8, q8: 0.1, q4: 1 });
    // Small models with large keys lose more to 4 bits; the README says how much.
    yield* measureKvFormats(files.gguf, data, { length: 2048, nBooks: 3, q8: 0.1, q4: 5 });
    yield* measureKvFormats(files.gguf, data, { length: 8192, nBooks: 1, q8: 0.1, q4: 5 });
    yield* measureKvFormats(files.wide, data, { length: 2048, nBooks: 3, q8: 0.1, q4: 5 });
  },
};

const unknown = wanted.find((name) => !(name in groups));
if (unknown !== undefined) {
  console.error(
    `Cannot measure ${unknown}: expected one of ${Object.keys(groups).join(", ")}`,
  );
  Deno.exit(1);
}

let failed = 0;
for (const [name, measure] of Object.entries(groups)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  for await (const found of measure()) {
    console.log(line(found));
    if (!found.passed) failed++;
  }
}
console.log(failed === 0 ? "all hold" : `${failed} do not hold`);
if (failed > 0) Deno.exit(1);
