/**
 * A sequence of tokens with its cache: what it holds, and how much of that the model has been fed. It knows token ids
 * and nothing of text. `prefill.ts` feeds it, `decoding.ts` selects what follows.
 *
 * @module
 */
import { CapacityError } from "../errors.ts";
import { byteLengthOf, type Tensor } from "../gpu/tensor.ts";
import type { TokenLogprobs } from "../kernels/top_logprobs.ts";
import { KvCache, type KvRun } from "./kv_cache.ts";
import type { Runtime } from "./runtime.ts";

/** Words of a sequence's state. */
const STATE_WORDS = 8;

/** Bytes that a sequence takes besides its keys and values. */
export function sequenceBytes(): number {
  return byteLengthOf("u32", [STATE_WORDS]);
}

/** See the module's description. */
export class Sequence {
  /** What the sequence shares with the model's others. */
  readonly runtime: Runtime;
  /** Keys and values. */
  readonly cache: KvCache;
  /** Which of the rotary frequencies what is cached was computed with; -1 where that is not known. */
  regime = 0;
  /** Log-probabilities of what the latest generation has selected, where it asks for them. */
  logprobs: TokenLogprobs[] = [];
  readonly #gone = new AbortController();
  #tokens: number[] = [];
  #nFed = 0;
  #state: Tensor | undefined;
  /** Until when a fork has its part of the cache, or has been found to have none. */
  #isCopied: Promise<unknown> | undefined;

  /** Makes an empty sequence, which holds no memory yet. */
  constructor(runtime: Runtime) {
    const { gpu, config } = runtime;
    this.runtime = runtime;
    this.cache = new KvCache(gpu, config, runtime.kvFormat, runtime.contextLength, runtime.prefillChunk);
  }

  /** Position, done flag and count of the generation, as the kernels read and write them: (8) u32. There once reserved. */
  get state(): Tensor {
    return this.#state!;
  }

  /** The tokens so far. */
  get tokens(): readonly number[] {
    return this.#tokens;
  }

  /** Tokens whose keys and values have been computed, those not accepted yet included. */
  get nFed(): number {
    return this.#nFed;
  }

  /** Where layers with a window have lost what a smaller number needs, it becomes 0. */
  set nFed(count: number) {
    this.#nFed = this.cache.keep(count);
  }

  /** Tells that the next `count` tokens are on their way: in layers with a window they take rows, even if they are stopped. */
  takeRows(count: number): void {
    this.cache.keep(this.#nFed + count);
  }

  /** Tokens that the next generation has to feed. */
  get uncached(): number {
    return Math.max(1, this.#tokens.length - this.nFed);
  }

  /** Tokens whose keys and values are cached. */
  get nCached(): number {
    return Math.min(this.nFed, this.#tokens.length);
  }

  /** Bytes of keys and values. */
  get kvBytes(): number {
    return this.cache.byteLength;
  }

  /** Aborts when the sequence is disposed. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** Why it is of no use any more: what a disposed model or session leaves behind fails in many ways, for one reason. */
  get refusal(): Error | undefined {
    return [this.runtime.gone, this.gone].find(({ aborted }) => aborted)?.reason;
  }

  /** Tokens that can still be added. */
  get room(): number {
    return this.runtime.contextLength - this.#tokens.length;
  }

  /**
   * Adds tokens; they are fed to the model when a generation begins.
   *
   * @throws {CapacityError} If they do not fit in the context; nothing is added then.
   * @throws {RangeError} If an id is not in the vocabulary.
   */
  append(ids: ArrayLike<number>): void {
    const { contextLength, config } = this.runtime;
    const total = this.#tokens.length + ids.length;
    if (total > contextLength) {
      throw new CapacityError(
        `Cannot hold ${total} tokens: the context length is ${contextLength}; shorten the prompt or load with a larger contextLength`,
        { requested: total, available: contextLength, unit: "tokens" },
      );
    }
    requireIds(ids, config.vocabSize);
    for (let i = 0; i < ids.length; i++) this.#tokens.push(ids[i]!);
  }

  /** Forgets all tokens from index `length` on. */
  truncate(length: number): void {
    if (!Number.isInteger(length) || length < 0 || length > this.#tokens.length) {
      throw new RangeError(`Cannot truncate to ${length} tokens: the sequence has ${this.#tokens.length}`);
    }
    this.#tokens.length = length;
    this.nFed = Math.min(this.nFed, length);
  }

  /** Forgets the tokens between the first `sinks` and the last `recent`; the latter are fed again where they now stand. */
  slide(sinks: number, recent: number): void {
    this.#tokens.splice(sinks, this.#tokens.length - sinks - recent);
    this.nFed = Math.min(this.nFed, sinks);
  }

  /** A sequence of its own with the same tokens and cache; without the latter, where there is no memory for it. */
  fork(): Sequence {
    const copy = new Sequence(this.runtime);
    copy.append(this.#tokens);
    copy.#isCopied = this.runtime.gpu.allocate(() => copy.cache.copyFrom(this.cache, this.nCached)).catch(() => {
      copy.cache.clear();
      copy.nFed = 0;
    });
    copy.nFed = this.nCached;
    copy.regime = this.regime;
    return copy;
  }

  /** Waits until it is known what a fork has cached. */
  async settle(): Promise<void> {
    await this.#isCopied;
    this.#isCopied = undefined;
  }

  /**
   * Makes room for the keys and values of `length` tokens. Where there is none, what is cached stays.
   *
   * @throws {CapacityError} If there is no memory for them.
   */
  async reserve(length: number): Promise<void> {
    const { runtime } = this;
    try {
      if (this.#isCopied !== undefined) await this.settle();
      this.#state ??= await runtime.gpu.allocate(() => {
        runtime.gone.throwIfAborted();
        this.gone.throwIfAborted();
        return runtime.gpu.createTensor("sequence state", "u32", [STATE_WORDS]);
      });
      await this.cache.reserve(length);
    } catch (error) {
      throw this.refusal ?? error;
    } finally {
      if (this.gone.aborted) this.#state?.dispose();
    }
  }

  /**
   * Puts keys and values in place of computing them, for the first `nCached` of the tokens that were appended.
   *
   * @param write Fills one run of bytes of a tensor; called in the order of `KvCache.runs`.
   */
  async fill(nCached: number, write: (run: KvRun) => Promise<void>): Promise<void> {
    await this.reserve(nCached);
    for (const run of this.cache.runs(nCached)) await write(run);
    this.cache.filled(nCached);
    this.nFed = nCached;
    // Where the length matters it is not told which one these were computed for: they are computed again.
    if (this.runtime.rope.rope.steadyLength < Infinity) this.regime = -1;
  }

  /** Takes in tokens that a generation selected and its caller has seen. Their keys and values are cached already. */
  accept(ids: readonly number[]): void {
    this.#tokens.push(...ids);
  }

  /** Ends a generation: only what was accepted counts, whatever else the GPU has selected. */
  end(): void {
    this.nFed = this.nCached;
  }

  /** Frees the GPU memory; what is under way ends with an error. */
  dispose(): void {
    this.#gone.abort(new TypeError("The session was disposed"));
    this.cache.dispose();
    this.#state?.dispose();
  }
}

/**
 * Refuses ids that no embedding stands for.
 *
 * @throws {RangeError} With the first of them.
 */
export function requireIds(ids: ArrayLike<number>, vocabSize: number): void {
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i]!;
    if (!Number.isInteger(id) || id < 0 || id >= vocabSize) {
      throw new RangeError(`Token id ${id} at index ${i} is not in the vocabulary of ${vocabSize}`);
    }
  }
}
