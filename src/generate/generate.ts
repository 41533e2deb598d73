/**
 * The generation loop: it keeps the GPU one batch ahead of the reader. Token ids only; no text and no GPU objects.
 *
 * @module
 */
import { Pacer, SUBMIT_MS } from "../gpu/pacer.ts";
import type { Batch } from "../model/batch.ts";
import type { Decoding } from "../model/decoding.ts";

/** Why a generation ended: a stop token or stop string, or the limit on tokens. */
export type FinishReason = "stop" | "length";

/** Steps in one submit at most: past this, longer submits gain nothing and cost evenness. */
const MOST_STEPS = 64;

/** What the loop needs to know. */
export interface TokenLoop {
  /** Most tokens to generate. */
  readonly maxTokens: number;
  /** Ids that end the generation; they are not yielded. */
  readonly stopIds: ReadonlySet<number>;
  /** Decoding steps that a fast device may run in one submit before its speed is known. */
  readonly firstSteps: number;
  /** Ends the generation within one submit, by throwing its reason. */
  readonly signal?: AbortSignal;
}

/**
 * Generates the tokens that a decoding selects.
 *
 * The next batch is submitted as soon as this one has run and before its ids are looked at, so that the GPU works
 * while the host decodes and the caller prints. What is selected past a stop is discarded.
 *
 * @returns Yields one id at a time; returns why it ended.
 */
export async function* generateTokens(decoding: Decoding, loop: TokenLoop): AsyncGenerator<number, FinishReason> {
  const { stopIds, signal } = loop;
  const limit = Math.min(loop.maxTokens, decoding.room);
  const pacer = new Pacer(loop.firstSteps / SUBMIT_MS);
  let asked = 1;
  let batch: Batch | undefined;
  try {
    if (limit <= 0) return "length";
    batch = await decoding.begin(Math.min(limit, 256));
    while (batch !== undefined) {
      const { count, submittedAt, tokens }: Batch = batch;
      const called = performance.now();
      const arriving = tokens();
      // Told below; without a handler now, a failure of the next submit would leave this one's unhandled.
      arriving.catch(() => {});
      batch = undefined;
      let arrived = performance.now();
      // Where the call itself waited for the GPU, what follows it is Deno's sleep and no work.
      const waited = arrived - called > 2;
      const measured = asked > 1;
      const next: number = Math.min(limit - asked, Math.max(1, Math.floor(pacer.budget)), MOST_STEPS);
      if (next > 0 && signal?.aborted !== true) batch = await decoding.advance(next);
      asked += batch?.count ?? 0;
      const ids = await arriving;
      if (!waited) arrived = performance.now();
      if (measured) pacer.observe(count, arrived - submittedAt);
      for (const id of ids) {
        signal?.throwIfAborted();
        if (stopIds.has(id)) return "stop";
        yield id;
      }
      signal?.throwIfAborted();
    }
    return "length";
  } finally {
    batch?.discard();
    decoding.end();
  }
}
