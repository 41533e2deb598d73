/**
 * Grammars without a model, for tests.
 *
 * @module
 */
import type { GrammarSource } from "../../src/grammar/grammar.ts";
import { type GrammarLimits, GrammarWorkers } from "../../src/grammar/grammar_workers.ts";
import { spellTokens } from "../../src/grammar/token_bytes.ts";
import { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { Tokenizer as CoreTokenizer } from "../../wasm/mod.ts";

const json = await Deno.readFile(new URL("../testdata/pg-nano-yarn-2k/tokenizer.json", import.meta.url));

/** The tokenizer that the grammars' tokens are of. */
export const tokenizer: Tokenizer = new Tokenizer(CoreTokenizer.fromJson(json), "tokenizer.json");

/** The token that ends a text. */
export const END_ID: number = tokenizer.specialIds.find((id) => tokenizer.piece(id) === "</s>")!;

/** Starts the worker that follows grammars. */
export function openGrammarWorker(): Worker {
  return new Worker(new URL("../../src/grammar/grammar_worker.ts", import.meta.url), { type: "module" });
}

/** Workers with the vocabulary of pg-nano. */
export function grammarWorkers(
  limits?: GrammarLimits,
  endIds: readonly number[] = [END_ID],
  openWorker: () => Worker = openGrammarWorker,
): GrammarWorkers {
  const spell = () => spellTokens(tokenizer, tokenizer.vocabSize);
  return new GrammarWorkers({ spell, endIds }, openWorker, limits);
}

/** Ids that a mask allows, ascending. */
export function allowedIds(mask: Uint32Array): number[] {
  return Array.from({ length: 32 * mask.length }, (_, id) => id).filter((id) => (mask[id >> 5]! >> (id & 31)) & 1);
}

const anchor = tokenizer.encode("a", { addSpecialTokens: false }).at(-1)!;
const texts = Array.from(
  { length: tokenizer.vocabSize },
  (_, id) => tokenizer.decode([anchor, id]).slice(tokenizer.decode([anchor]).length),
);

/**
 * What a grammar has to say of a text: that it is complete, may end, goes on, or where it stops being one of the grammar.
 * It is spelled by the longest tokens that are allowed; a special token by its name.
 */
export async function follow(workers: GrammarWorkers, grammar: GrammarSource, text: string): Promise<string> {
  using matcher = await workers.begin(grammar);
  for (let at = 0; at < text.length;) {
    const fitting = allowedIds(matcher.allowed).filter((id) => texts[id] !== "" && text.startsWith(texts[id]!, at));
    const [id] = fitting.sort((a, b) => texts[b]!.length - texts[a]!.length);
    if (id === undefined) return `stops before ${text.slice(at, at + 5)}`;
    await matcher.accept([id]);
    at += texts[id]!.length;
  }
  if (matcher.isComplete) return "complete";
  return allowedIds(matcher.allowed).includes(END_ID) ? "may end" : "goes on";
}
