/**
 * SmolLM2-135M against transformers, and its forms against each other.
 *
 * @module
 */
import { atMost, holds, largestDifference, type Measure, percentOff, perplexityOf } from "./measure.ts";
import reference from "./smollm2_reference.json" with { type: "json" };
import { generate, score, type Scored, scoreText, skein } from "./skein.ts";

const FULL = ["--weights", "f32", "--kv-cache", "f32"];
const HALF = ["--weights", "f16", "--kv-cache", "f16"];

/** Two best logits closer than this may change places between two forms of the same weights. */
const NEAR_TIE = 0.02;

/** Where the forms of SmolLM2-135M are. */
export interface SmolLM2 {
  /** Sharded safetensors, f16. */
  readonly safetensors: string;
  /** The GGUF file that they were made from. */
  readonly gguf: string;
  /** The same weights as `.bin` shards. */
  readonly torch: string;
  /** The weights rounded to bfloat16, as `.bin` shards. */
  readonly torchBf16: string;
}

/** Logprobs of the reference text, by every form of the weights. */
export async function* measureLogprobs({ safetensors, gguf, torch, torchBf16 }: SmolLM2): AsyncGenerator<Measure> {
  const expected = reference.logprobs;
  const text = reference.text;
  const { tokens } = JSON.parse(await skein("score", safetensors, "--text", text, "--json", ...FULL)) as Scored;
  const sameTokens = tokens.join() === reference.tokens.join();
  yield holds("smollm2 text to tokens", "equal", sameTokens ? "equal" : "different", sameTokens);

  const full = await score(safetensors, reference.tokens, ...FULL);
  yield atMost(
    "smollm2 f32 weights, f32 KV: logprobs against transformers",
    1e-3,
    largestDifference(full.logprobs, expected),
  );

  const halfText = await scoreText(safetensors, reference.tokens, ...HALF);
  const half: Scored = JSON.parse(halfText);
  yield atMost(
    "smollm2 f16 weights, f16 KV: logprobs against transformers",
    2e-2,
    largestDifference(half.logprobs, expected),
  );
  const off = percentOff(half.perplexity, perplexityOf(expected));
  yield atMost("smollm2 f16 weights, f16 KV: perplexity against transformers", 0.2, off, " %");

  const sameBytes = await scoreText(torch, reference.tokens, ...HALF) === halfText;
  yield holds(
    "smollm2 .bin shards against safetensors: output",
    "same bytes",
    sameBytes ? "same" : "different",
    sameBytes,
  );

  const rounded = await score(torchBf16, reference.tokens, "--kv-cache", "f32");
  const roundedOff = largestDifference(rounded.logprobs, reference.bfloat16.logprobs);
  yield atMost("smollm2 bf16 .bin shards, f32 KV: logprobs against transformers", 2e-2, roundedOff);

  const quantised = await score(gguf, reference.tokens);
  yield atMost(
    "smollm2 GGUF against safetensors: logprobs",
    2e-2,
    largestDifference(quantised.logprobs, half.logprobs),
  );
}

/** Greedy continuations of the GGUF file and of transformers against those of the safetensors. */
export async function* measureGreedy({ safetensors, gguf }: SmolLM2): AsyncGenerator<Measure> {
  const flips = { gguf: [] as string[], transformers: [] as string[] };
  for (const [i, { prompt, tokens, margins }] of reference.greedy.entries()) {
    const ours = (await generate(safetensors, prompt, "--max-tokens", "64")).tokens;
    const theirs = (await generate(gguf, prompt, "--max-tokens", "64")).tokens;
    const margin = (at: number) => ours.slice(0, at).join() === tokens.slice(0, at).join() ? margins[at] : undefined;
    flips.gguf.push(...flip(i, ours, theirs, margin));
    flips.transformers.push(...flip(i, ours, tokens, margin));
  }
  for (const [name, found] of [["GGUF", flips.gguf], ["transformers", flips.transformers]] as const) {
    const passed = found.length <= 1 && found.every((text) => text.endsWith("tie"));
    yield holds(
      `smollm2 greedy, 64 tokens: safetensors against ${name}`,
      ">= 9 of 10 equal",
      `${reference.greedy.length - found.length} of ${reference.greedy.length} ${found.join("; ")}`,
      passed,
    );
  }
}

/** Where two continuations part, if they do, and whether the two best logits were nearly equal there. */
function flip(prompt: number, a: number[], b: number[], margin: (at: number) => number | undefined): string[] {
  if (a.join() === b.join()) return [];
  let at = 0;
  while (a[at] === b[at]) at++;
  const difference = margin(at);
  const near = difference !== undefined && difference < NEAR_TIE;
  return [`prompt ${prompt} token ${at}: two best differ by ${difference ?? "?"}${near ? ", a tie" : ""}`];
}

/** Sampled text by its seed. */
export async function* measureSeed({ gguf }: SmolLM2): AsyncGenerator<Measure> {
  const sampled = async (seed: string) => {
    const options = ["--temperature", "0.9", "--top-k", "50", "--top-p", "0.95", "--seed", seed, "--max-tokens", "48"];
    const { text, tokens } = await generate(gguf, reference.greedy[1]!.prompt, ...options);
    return JSON.stringify({ text, tokens });
  };
  const [first, again, other] = [await sampled("7"), await sampled("7"), await sampled("8")];
  yield holds(
    "smollm2 sampled with one seed, twice",
    "same bytes",
    first === again ? "same" : "different",
    first === again,
  );
  yield holds(
    "smollm2 sampled with another seed",
    "different",
    first === other ? "same" : "different",
    first !== other,
  );
}
