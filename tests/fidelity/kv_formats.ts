/**
 * What keys and values in q8 and q4 cost in perplexity, against f16.
 *
 * @module
 */
import { type KvFormat, loadModel, type Model } from "../../mod.ts";
import { atMost, type Measure, perplexityOf } from "./measure.ts";

/** Characters that are skipped at the begin of a book: title pages and contents. */
const FRONT_MATTER = 20_000;

/** What is measured of a checkpoint. */
export interface KvTrial {
  /** Tokens of a window. */
  readonly length: number;
  /** Windows: one of each of the first books. */
  readonly nBooks: number;
  /** What q8 may cost, in percent. */
  readonly q8: number;
  /** What q4 may cost, in percent. */
  readonly q4: number;
}

/** Perplexity of one window of each of the first books, with keys and values in f16, q8 and q4. */
export async function* measureKvFormats(checkpoint: string, data: string, trial: KvTrial): AsyncGenerator<Measure> {
  const { length, nBooks } = trial;
  const folder = `${data}/pg19/books`;
  const books = [...Deno.readDirSync(folder)].map(({ name }) => name).sort().slice(0, nBooks);
  const name = checkpoint.split("/").at(-1);
  const perplexity = async (kvCache: KvFormat) => {
    using model = await loadModel(checkpoint, { kvCache, contextLength: length });
    const logprobs: number[] = [];
    for (const book of books) {
      const text = (await Deno.readTextFile(`${folder}/${book}`)).slice(FRONT_MATTER);
      logprobs.push(...(await model.score(windowOf(model, text, length))).logprobs);
    }
    return perplexityOf(logprobs);
  };
  const half = await perplexity("f16");
  for (const format of ["q8", "q4"] as const) {
    const got = await perplexity(format);
    const cost = (got / half - 1) * 100;
    const found = `perplexity ${got.toFixed(4)} against ${half.toFixed(4)} in f16`;
    yield atMost(`${name} with KV ${format} at ${length} tokens: ${found}`, trial[format], cost, " %");
  }
}

function windowOf(model: Model, text: string, length: number): number[] {
  const { bosId } = model.tokenizer;
  const special = bosId === undefined ? [] : [bosId];
  // A token has over one character; no book needs more than 8.
  const ids = model.tokenizer.encode(text.slice(0, 8 * length), { addSpecialTokens: false });
  return [...special, ...ids.slice(0, length - special.length)];
}
