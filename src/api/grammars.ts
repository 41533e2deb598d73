/**
 * Grammars of a model.
 *
 * @module
 */
import { GrammarWorkers } from "../grammar/grammar_workers.ts";
import { spellTokens } from "../grammar/token_bytes.ts";
import type { Runtime } from "../model/runtime.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { Host } from "./host.ts";

/** What grammars need of a model. */
export interface GrammarModel {
  /** What starts workers. */
  readonly host: Host;
  /** The shape of the logits, and the tokens that end a text. */
  readonly runtime: Runtime;
  /** What tokens spell. */
  readonly tokenizer: Tokenizer;
}

/** What follows texts of a model through grammars; nothing is loaded before the first. */
export function grammarsOf({ host, runtime, tokenizer }: GrammarModel): GrammarWorkers {
  const { vocabSize } = runtime.config;
  const spell = () => spellTokens(tokenizer, vocabSize);
  // A config may name ids that the model has no logits for.
  const endIds = runtime.stopIds.filter((id) => id < vocabSize);
  return new GrammarWorkers({ spell, endIds }, () => {
    if (host.openGrammarWorker !== undefined) return host.openGrammarWorker();
    throw new TypeError("Cannot use a grammar here: nothing starts the worker that follows it");
  });
}
