/**
 * What happens where a generation reaches the end of the context.
 *
 * @module
 */

/**
 * The first tokens of a sequence and its newest ones, which stay when the context is full (StreamingLLM; Xiao et al.,
 * 2023: models attend to the first tokens whatever these say, and lose their way without them).
 *
 * What stays is fed again as a sequence of its own: the result is that of a fresh prompt of these tokens. The paper keeps
 * the cache and gives keys new positions by rotating them further. That is not the same, because values and deeper keys
 * have seen the tokens that are gone, and it is not there for scalings whose frequencies depend on the length, nor for
 * rounded keys. Feeding again is right for every scaling, architecture and storage of the cache, and costs a prefill of
 * the window each time that the context is full.
 */
export interface SinkWindow {
  /** Tokens that stay from the beginning; the paper's choice is 4. */
  readonly sinks: number;
  /**
   * Tokens that stay from the end. The larger, the more is remembered, and the sooner the context is full again. Default:
   * half of what the sinks leave.
   */
  readonly window?: number;
}

/**
 * What happens where a generation reaches the end of the context before `maxTokens`.
 *
 * - `"error"`: what fits is yielded, then a `CapacityError` is thrown.
 * - `"stop"`: the generation ends with finish reason `"length"`.
 * - sinks and a window: the tokens between them are forgotten, and the generation goes on. Its result says how often.
 */
export type ContextPolicy = "error" | "stop" | SinkWindow;

/** A policy with its defaults filled in. */
export type ResolvedContextPolicy = "error" | "stop" | Required<SinkWindow>;

/**
 * Fills in defaults and checks ranges.
 *
 * @throws {RangeError} If the policy is unknown, or what it keeps leaves no room in the context.
 */
export function resolveContextPolicy(policy: ContextPolicy, contextLength: number): ResolvedContextPolicy {
  if (policy === "error" || policy === "stop") return policy;
  if (typeof policy !== "object") {
    throw new RangeError(
      `Cannot use contextPolicy ${JSON.stringify(policy)}: expected "error", "stop", or sinks and a window`,
    );
  }
  const { sinks, window = Math.max(1, Math.floor((contextLength - sinks) / 2)) } = policy;
  for (const [name, value, least] of [["sinks", sinks, 0], ["window", window, 1]] as const) {
    if (!Number.isSafeInteger(value) || value < least) {
      throw new RangeError(
        `Cannot use a contextPolicy with ${name} ${value}: expected an integer of at least ${least}`,
      );
    }
  }
  if (sinks + window >= contextLength) {
    throw new RangeError(
      `Cannot use a contextPolicy with sinks ${sinks} and window ${window}: the context length ${contextLength} leaves no room for another token`,
    );
  }
  return { sinks, window };
}
