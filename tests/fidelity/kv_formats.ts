/**
 * What keys and values in q8 and q4 cost in perplexity, against f16.
 *
 * @module
 */
import { type KvFormat, loadModel, type Model } from "../../mod.ts";
import { atMost, type Measure, perplexityOf } from "./measure.ts";

/** Tokens of a window, the special one at its begin not counted. */
const LENGTH = 2047;

/** Characters that are skipped at the begin of a book: title pages and contents. */
const FRONT_MATTER = 20_000;

/** What formats may cost, in percent. */
export interface KvLimits {
  readonly q8: number;
  readonly q4: number;
}

/** Perplexity of one window of each of the first `nBooks` books, with keys and values in f16, q8 and q4. */
export async function* measureKvFormats(
  checkpoint: string,
  data: string,
  nBooks: number,
  limits: KvLimits,
): AsyncGenerator<Measure> {
  const folder = `${data}/pg19/books`;
  const books = [...Deno.readDirSync(folder)].map(({ name }) => name).sort().slice(0, nBooks);
  const name = checkpoint.split("/").at(-1);
  const perplexity = async (kvCache: KvFormat) => {
    using model = await loadModel(checkpoint, { kvCache, contextLength: LENGTH });
    const logprobs: number[] = [];
    for (const book of books) {
      const text = (await Deno.readTextFile(`${folder}/${book}`)).slice(FRONT_MATTER);
      logprobs.push(...(await model.score(windowOf(model, text))).logprobs);
    }
    return perplexityOf(logprobs);
  };
  const half = await perplexity("f16");
  for (const format of ["q8", "q4"] as const) {
    const got = await perplexity(format);
    const cost = (got / half - 1) * 100;
    const found = `perplexity ${got.toFixed(4)} against ${half.toFixed(4)} in f16`;
    yield atMost(`${name} with KV ${format}: ${found}`, limits[format], cost, " %");
  }
}

function windowOf(model: Model, text: string): number[] {
  // A token has over one character; no book needs more than 8.
  const ids = model.tokenizer.encode(text.slice(0, 8 * LENGTH), { addSpecialTokens: false }).slice(0, LENGTH);
  return model.tokenizer.bosId === undefined ? [...ids] : [model.tokenizer.bosId, ...ids];
}
