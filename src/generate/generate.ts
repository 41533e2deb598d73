/**
 * The generation loop: it keeps the GPU one batch ahead of the reader. Token ids only; no text and no GPU objects.
 *
 * @module
 */
import type { Batch } from "../model/batch.ts";
import type { Decoding } from "../model/decoding.ts";
import type { ResolvedContextPolicy } from "./context_policy.ts";

/** Why a generation ended: a stop token, a stop string or the end of a grammar's text, or the limit on tokens. */
export type FinishReason = "stop" | "length";

/** Steps in one submit at most: past this, longer submits gain nothing and cost evenness. */
const MOST_STEPS = 64;

/** What the loop needs to know. */
export interface TokenLoop {
  /** Most tokens to generate. */
  readonly maxTokens: number;
  /** What to do at the end of the context. */
  readonly contextPolicy: ResolvedContextPolicy;
  /** Ids that end the generation; they are not yielded. */
  readonly stopIds: ReadonlySet<number>;
  /** Ends the generation within one submit, by throwing its reason. */
  readonly signal?: AbortSignal;
}

/**
 * Generates the tokens that a decoding selects.
 *
 * The next batch is submitted as soon as this one has run and before its ids are looked at, so that the GPU works
 * while the host decodes and the caller prints. What is selected past a stop is discarded.
 *
 * @returns Yields one id at a time; returns why it ended, or that the context is full.
 */
export async function* generateTokens(
  decoding: Decoding,
  loop: TokenLoop,
): AsyncGenerator<number, FinishReason | "full"> {
  const { maxTokens, contextPolicy, stopIds, signal } = loop;
  let limit = Math.min(maxTokens, decoding.room);
  let asked = 0;
  let next: Promise<Batch> | undefined;
  const ask = () => {
    if (asked >= limit || signal?.aborted === true || decoding.isComplete) return undefined;
    const batch = decoding.advance(Math.min(limit - asked, MOST_STEPS));
    batch.catch(() => {});
    return batch;
  };
  try {
    while (asked < maxTokens) {
      if (decoding.isComplete) return "stop";
      let batch: Batch | undefined;
      if (asked === 0 && limit > 0) {
        batch = await decoding.begin(Math.min(limit, 256));
      } else {
        if (typeof contextPolicy === "string") return "full";
        batch = await decoding.slide(contextPolicy);
        limit = Math.min(maxTokens, asked + decoding.room);
      }
      while (batch !== undefined) {
        asked += batch.count;
        const arriving = batch.tokens();
        // Told below; without a handler now, a failure of the next submit would leave this one's unhandled.
        arriving.catch(() => {});
        if (!decoding.wantsTokens) next = ask();
        const ids = await arriving;
        asked += ids.length - batch.count;
        next ??= ask();
        for (const id of ids) {
          signal?.throwIfAborted();
          if (stopIds.has(id)) return "stop";
          yield id;
        }
        signal?.throwIfAborted();
        if (decoding.isComplete) return "stop";
        batch = await next;
        next = undefined;
      }
    }
    return "length";
  } finally {
    decoding.end();
    next?.then((batch) => batch.discard(), () => {});
  }
}
