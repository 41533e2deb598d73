/**
 * A prompt fed in chunks of any size gives the same logits.
 *
 * @module
 */
import { loadModel } from "../../mod.ts";
import { atMost, largestDifference, type Measure } from "./measure.ts";
import reference from "./smollm2_reference.json" with { type: "json" };

/** Tokens of a prefill pass, all of the text first; 1 is token by token, as decoding runs. */
const CHUNKS = [512, 64, 7, 1];

/** Logprobs of the reference text by every chunk size, f32 throughout, against those of one chunk. */
export async function* measureChunks(model: string): AsyncGenerator<Measure> {
  let whole: ArrayLike<number> | undefined;
  for (const prefillChunk of CHUNKS) {
    using loaded = await loadModel(model, { weights: "f32", kvCache: "f32", prefillChunk });
    const { logprobs } = await loaded.score(reference.tokens);
    if (whole === undefined) {
      whole = logprobs;
      continue;
    }
    yield atMost(`smollm2 prefill in chunks of ${prefillChunk}: logprobs`, 1e-3, largestDifference(logprobs, whole));
  }
}
