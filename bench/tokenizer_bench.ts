/**
 * `deno bench` of the tokenizer on an excerpt of PG19, with Llama-2's SentencePiece model and with SmolLM2's BPE. The
 * excerpt's size is in the groups' names: MB/s are it divided by the time.
 *
 * @module
 */
import { Tokenizer as CoreTokenizer } from "../wasm/mod.ts";
import { Tokenizer } from "../mod.ts";
import { EXCERPT } from "./generate_bench.ts";

async function unzipped(name: string): Promise<Uint8Array<ArrayBuffer>> {
  const file = await Deno.open(new URL(`../tests/testdata/tokenizer/${name}`, import.meta.url));
  return await new Response(file.readable.pipeThrough(new DecompressionStream("gzip"))).bytes();
}

const text = await Deno.readTextFile(EXCERPT);
const size = `${(new TextEncoder().encode(text).length / 1e6).toFixed(3)} MB`;
const tokenizers = {
  "SentencePiece": new Tokenizer(CoreTokenizer.fromSentencePiece(await unzipped("llama2.tokenizer.model.gz"))),
  "BPE": new Tokenizer(CoreTokenizer.fromJson(await unzipped("smollm2.tokenizer.json.gz"))),
};

for (const [kind, tokenizer] of Object.entries(tokenizers)) {
  const ids = tokenizer.encode(text);
  Deno.bench({ name: `encode by ${kind}`, group: `encode ${size}`, fn: () => void tokenizer.encode(text) });
  Deno.bench({ name: `decode by ${kind}`, group: `decode ${size}`, fn: () => void tokenizer.decode(ids) });
}
