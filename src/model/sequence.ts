/**
 * A sequence of tokens with its cache: what has been fed, what comes next. It knows token ids and nothing of text.
 *
 * @module
 */
import { CapacityError, ShaderError } from "../errors.ts";
import type { Recorder } from "../gpu/recorder.ts";
import { byteLengthOf, type Tensor } from "../gpu/tensor.ts";
import { logprobs } from "../kernels/logprobs.ts";
import {
  createSelection,
  DONE_NOT_FINITE,
  type ResolvedSampling,
  select,
  type Selection,
  selectionBytes,
  setStopIds,
} from "../kernels/select.ts";
import type { Batch } from "./batch.ts";
import { type ByteRange, KvCache } from "./kv_cache.ts";
import type { Runtime } from "./runtime.ts";
import { LOGIT_ROWS } from "./scratch.ts";

export type { Batch } from "./batch.ts";

/** Generated ids that the GPU keeps for the host to fetch; far more than two submits hold. */
const RING = 1024;

/** The smallest bound that a decode step is recorded for, in tokens; bounds double from it. */
const SMALLEST_BOUND = 256;

/** Bytes that a sequence takes besides its keys and values. */
export function sequenceBytes(vocabSize: number): number {
  return selectionBytes(vocabSize, RING) + byteLengthOf("u32", [8]) + byteLengthOf("u32", [1]);
}

/** See the module's description. */
export class Sequence {
  readonly #runtime: Runtime;
  readonly #cache: KvCache;
  readonly #selection: Selection;
  /** Position, done flag and count of the generation, as the kernels read and write them: (8) u32. */
  readonly #state: Tensor;
  /** The token to feed next: (1) u32. */
  readonly #token: Tensor;
  #tokens: number[] = [];
  #cached = 0;
  #sampling: ResolvedSampling | undefined;
  #selected = 0;
  #prefilledAt = 0;
  /** Which of the rotary frequencies what is cached was computed with; -1 where that is not known. */
  #regime = 0;
  /** What the current generation has fed and selected, as far as the host knows it. */
  #known: number[] = [];
  #latest: Batch | undefined;
  #signal: AbortSignal | undefined;
  #step: { recorder: Recorder; bound: number; layers: unknown; table: Tensor } | undefined;

  /** Makes an empty sequence. */
  constructor(runtime: Runtime) {
    const { gpu, config } = runtime;
    this.#runtime = runtime;
    this.#cache = new KvCache(gpu, config, runtime.kvFormat, runtime.contextLength);
    this.#selection = createSelection(gpu, config.vocabSize, RING);
    setStopIds(gpu, this.#selection, runtime.stopIds);
    this.#state = gpu.createTensor("sequence state", "u32", [8]);
    this.#token = gpu.createTensor("next token", "u32", [1]);
  }

  /** The tokens so far. */
  get tokens(): readonly number[] {
    return this.#tokens;
  }

  /** Tokens that the next generation has to feed. */
  get uncached(): number {
    return Math.max(1, this.#tokens.length - this.#cached);
  }

  /** When the last generation's prompt was processed, by `performance.now`. */
  get prefilledAt(): number {
    return this.#prefilledAt;
  }

  /** Keys and values. */
  get cache(): KvCache {
    return this.#cache;
  }

  /** Tokens whose keys and values are cached. */
  get nCached(): number {
    return Math.min(this.#cached, this.#tokens.length);
  }

  /** Bytes of keys and values. */
  get kvBytes(): number {
    return this.#cache.byteLength;
  }

  /** Tokens that can still be added. */
  get room(): number {
    return this.#runtime.contextLength - this.#tokens.length;
  }

  /**
   * Adds tokens; they are fed to the model when a generation begins.
   *
   * @throws {CapacityError} If they do not fit in the context; nothing is added then.
   * @throws {RangeError} If an id is not in the vocabulary.
   */
  append(ids: ArrayLike<number>): void {
    const { contextLength, config } = this.#runtime;
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
    this.#cached = Math.min(this.#cached, length);
  }

  /**
   * Feeds what has not been fed yet and selects the first new token.
   *
   * @param sampling How to select, for this generation.
   * @param expected Tokens that are likely to follow, so that the cache need not grow at once.
   * @param signal Stops within one submit.
   */
  begin(sampling: ResolvedSampling, expected: number, signal?: AbortSignal): Promise<Batch> {
    const { gpu, contextLength, llama } = this.#runtime;
    return this.#runtime.exclusive(async () => {
      this.#sampling = sampling;
      this.#signal = signal;
      this.#step = undefined;
      this.#known = [...this.#tokens];
      this.#cached = Math.min(this.#cached, this.#tokens.length - 1);
      this.#cache.reserve(Math.min(contextLength, this.#tokens.length + expected));
      await this.#prefill(this.#tokens, signal);
      this.#prefilledAt = performance.now();
      gpu.upload(this.#state, Uint32Array.of(this.#tokens.length - 1, 0, 0, 0, 0, 0, 0, 0));
      gpu.upload(this.#selection.seen, this.#seenBits());
      this.#selected = 0;
      const recorder = gpu.record();
      this.#select(recorder, llama.scratch.logits);
      return this.#submit([recorder], 1, 0);
    });
  }

  /**
   * Feeds the last selected token and selects the next, `count` times, in one submit.
   *
   * Fewer times where the rotary frequencies depend on the length and change on the way. They are the whole input's, in
   * every layer, so that keys and values of all tokens change with them: all are fed again, and the result is that of a
   * fresh prefill. LongRoPE does so once; dynamic scalings do it for every token past their switch.
   */
  advance(count: number): Promise<Batch> {
    return this.#runtime.exclusive(async () => {
      const { regimeOf } = this.#runtime.rope.rope;
      let steps = 0;
      while (steps < count && regimeOf(this.#cached + steps + 1) === this.#regime) steps++;
      if (steps === 0) return await this.#feedAgain();
      const step = await this.#recordStep(this.#cached + steps);
      return this.#submit(Array.from({ length: steps }, () => step), steps, steps);
    });
  }

  /** A sequence of its own with the same tokens and cache. */
  fork(): Sequence {
    const copy = new Sequence(this.#runtime);
    copy.append(this.#tokens);
    copy.#cache.copyFrom(this.#cache, this.nCached);
    copy.#cached = this.nCached;
    copy.#regime = this.#regime;
    return copy;
  }

  /**
   * Puts keys and values in place of computing them, for the first `nCached` of the tokens that were appended.
   *
   * @param write Fills one run of bytes of a tensor; called in order of layers, keys before values.
   */
  async fill(nCached: number, write: (tensor: Tensor, range: ByteRange) => Promise<void>): Promise<void> {
    this.#cache.reserve(nCached);
    const ranges = this.#cache.ranges(nCached);
    for (const { k, v } of ranges.length === 0 ? [] : this.#cache.layers) {
      for (const tensor of [k, v]) for (const range of ranges) await write(tensor, range);
    }
    await this.#runtime.gpu.settle();
    this.#cached = nCached;
    // Where the length matters it is not told which one these were computed for: they are computed again.
    if (this.#runtime.rope.rope.steadyLength < Infinity) this.#regime = -1;
  }

  /** Takes in tokens that a generation selected and its caller has seen. Their keys and values are cached already. */
  accept(ids: readonly number[]): void {
    this.#tokens.push(...ids);
  }

  /** Ends a generation: only what was accepted counts, whatever else the GPU has selected. */
  end(): void {
    this.#cached = Math.max(0, Math.min(this.#cached, this.#tokens.length));
  }

  /**
   * Log-probabilities of tokens, each given those before it, of a sequence that starts here.
   *
   * @param ids n tokens, at least two; the sequence must be empty. The last one is only predicted, so that the context
   * need not have room for it.
   * @param last How many log-probabilities are wanted, from the end: at most n - 1.
   * @returns ln p(ids[i + 1] | ids[0..i]) for the last values of i: (last) f32.
   */
  score(
    ids: ArrayLike<number>,
    last: number,
    signal?: AbortSignal,
    onProgress?: (done: number) => void,
  ): Promise<Float32Array> {
    const { gpu, llama, config: { vocabSize } } = this.#runtime;
    requireIds(ids, vocabSize);
    this.append(Array.from(ids).slice(0, -1));
    const first = ids.length - 1 - last;
    const targets = Uint32Array.from(ids).subarray(1);
    const scores = new Float32Array(last);
    return this.#runtime.exclusive(async () => {
      this.#cache.reserve(ids.length - 1);
      await this.#prefill(this.#tokens, signal, async (recorder, begin, count) => {
        gpu.upload(llama.scratch.targets, targets.subarray(begin, begin + count));
        const firstRow = Math.min(count, Math.max(0, first - begin));
        for (let row = firstRow; row < count; row += LOGIT_ROWS) {
          const nRows = Math.min(LOGIT_ROWS, count - row);
          llama.logits(recorder, row, nRows);
          const { logits, targets, logprobs: out } = llama.scratch;
          logprobs(recorder, { logits, targets, out, nRows, first: row, vocabSize });
        }
        await gpu.run(recorder, signal);
        if (firstRow < count) {
          const bytes = await gpu.read(llama.scratch.logprobs, firstRow * 4, (count - firstRow) * 4);
          scores.set(new Float32Array(bytes.buffer), begin + firstRow - first);
        }
        onProgress?.(begin + count);
      });
      const failed = scores.findIndex((score) => Number.isNaN(score));
      if (failed >= 0) throw notFinite(first + failed + 1);
      return scores;
    });
  }

  /** Frees the GPU memory. */
  dispose(): void {
    this.#cache.dispose();
    this.#selection.dispose();
    this.#state.dispose();
    this.#token.dispose();
  }

  /**
   * Feeds those of the sequence's tokens that are not cached, chunk by chunk; all, where the cached ones were rotated by
   * the frequencies of another length. Unless `each` runs the chunks, the last leaves its logits.
   */
  async #prefill(
    tokens: readonly number[],
    signal: AbortSignal | undefined,
    each?: (recorder: Recorder, begin: number, count: number) => Promise<void>,
  ): Promise<void> {
    const { gpu, llama, prefillChunk } = this.#runtime;
    const total = tokens.length;
    const regime = this.#runtime.rope.rope.regimeOf(total);
    if (regime !== this.#regime) this.#cached = 0;
    this.#regime = regime;
    const ropeTable = await this.#runtime.ropeTable(this.#cache.capacity, total);
    while (this.#cached < total) {
      const begin = this.#cached;
      const end = Math.min(total, begin + prefillChunk);
      gpu.upload(llama.scratch.tokens, Uint32Array.from(tokens.slice(begin, end)));
      gpu.upload(this.#state, Uint32Array.of(begin));
      const recorder = gpu.record();
      llama.forward(recorder, {
        tokens: llama.scratch.tokens,
        nTokens: end - begin,
        state: this.#state,
        cache: this.#cache,
        maxKvLength: end,
        ropeTable,
      });
      if (each !== undefined) {
        await each(recorder, begin, end - begin);
      } else {
        if (end === total) llama.logits(recorder, end - begin - 1, 1);
        await gpu.run(recorder, signal);
      }
      this.#cached = end;
    }
    await gpu.settle();
  }

  /** Feeds all tokens, the last selected one included, with the frequencies of their number, and selects the next. */
  async #feedAgain(): Promise<Batch> {
    const { gpu, llama } = this.#runtime;
    await this.#latest?.tokens();
    this.#cache.reserve(this.#known.length);
    await this.#prefill(this.#known, this.#signal);
    gpu.upload(this.#state, Uint32Array.of(this.#known.length - 1));
    const recorder = gpu.record();
    this.#select(recorder, llama.scratch.logits);
    return this.#submit([recorder], 1, 0);
  }

  async #recordStep(length: number): Promise<Recorder> {
    const { gpu, llama, contextLength } = this.#runtime;
    this.#cache.reserve(length);
    const ropeTable = await this.#runtime.ropeTable(this.#cache.capacity, length);
    let bound = SMALLEST_BOUND;
    while (bound < length) bound *= 2;
    bound = Math.min(bound, contextLength);
    const kept = this.#step;
    if (kept?.bound === bound && kept.layers === this.#cache.layers && kept.table === ropeTable) return kept.recorder;
    const recorder = gpu.record();
    llama.forward(recorder, {
      tokens: this.#token,
      nTokens: 1,
      state: this.#state,
      cache: this.#cache,
      maxKvLength: bound,
      ropeTable,
    });
    llama.logits(recorder, 0, 1);
    this.#select(recorder, llama.scratch.logits);
    this.#step = { recorder, bound, layers: this.#cache.layers, table: ropeTable };
    return recorder;
  }

  /** One bit for each token id that the sequence has, for the repetition penalty: (ceil(vocabSize / 32)) u32. */
  #seenBits(): Uint32Array<ArrayBuffer> {
    const bits = new Uint32Array(Math.ceil(this.#runtime.config.vocabSize / 32));
    for (const id of this.#tokens) bits[id >>> 5]! |= 1 << (id & 31);
    return bits;
  }

  #select(recorder: Recorder, logits: Tensor): void {
    select(recorder, {
      logits,
      state: this.#state,
      token: this.#token,
      selection: this.#selection,
      nStopIds: this.#runtime.stopIds.length,
      ...(this.#sampling === undefined ? {} : { sampling: this.#sampling }),
    });
  }

  #submit(recorders: readonly Recorder[], count: number, nFed: number): Batch {
    const { gpu } = this.#runtime;
    const first = this.#selected;
    this.#selected += count;
    const submittedAt = performance.now();
    const readback = gpu.submit(recorders, [{ tensor: this.#state }, { tensor: this.#selection.ring }]);
    this.#cached += nFed;
    const fetch = async () => {
      const words = new Uint32Array((await readback.fetch()).buffer);
      await gpu.settle();
      if (words[1] === DONE_NOT_FINITE) throw notFinite(words[0]!);
      const ids = Array.from({ length: count }, (_, i) => words[8 + ((first + i) % RING)]!);
      this.#known.push(...ids);
      return ids;
    };
    let arriving: Promise<number[]> | undefined;
    return this.#latest = { count, submittedAt, discard: readback.discard, tokens: () => arriving ??= fetch() };
  }
}

function requireIds(ids: ArrayLike<number>, vocabSize: number): void {
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i]!;
    if (!Number.isInteger(id) || id < 0 || id >= vocabSize) {
      throw new RangeError(`Token id ${id} at index ${i} is not in the vocabulary of ${vocabSize}`);
    }
  }
}

function notFinite(nTokens: number): ShaderError {
  return new ShaderError(
    "logits",
    `Logits are not finite after ${nTokens} tokens: the weights hold NaN or Inf, or the adapter computes wrongly`,
  );
}
