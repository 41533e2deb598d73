/**
 * One generation on the GPU: the token to feed next, how it is selected, and what has been selected.
 *
 * @module
 */
import type { Recorder } from "../gpu/recorder.ts";
import { byteLengthOf, type Tensor } from "../gpu/tensor.ts";
import {
  createSelection,
  DONE_NOT_FINITE,
  type ResolvedSampling,
  select,
  type Selection,
  selectionBytes,
  setStopIds,
} from "../kernels/select.ts";
import { biasEntries, countsTokens, IN_PROMPT } from "../kernels/penalize.ts";
import { createTopLogprobs, readTopLogprobs, type TopLogprobs } from "../kernels/top_logprobs.ts";
import type { Batch } from "./batch.ts";
import { notFinite } from "./not_finite.ts";
import { prefill } from "./prefill.ts";
import type { Sequence } from "./sequence.ts";

/** Generated ids that the GPU keeps for the host to fetch; far more than two submits hold. */
const RING = 1024;

/** Log-probabilities that the GPU keeps for the host to fetch, which it does with every submit; more than two hold. */
const LOGPROB_ROWS = 256;

/** The smallest bound that a decode step is recorded for, in tokens; bounds double from it. */
const SMALLEST_BOUND = 256;

/** Bytes that a generation takes besides its sequence's. */
export function decodingBytes(vocabSize: number): number {
  return selectionBytes(vocabSize, RING) + byteLengthOf("u32", [1]);
}

/** See the module's description. */
export class Decoding {
  readonly #sequence: Sequence;
  readonly #sampling: ResolvedSampling;
  readonly #signal: AbortSignal | undefined;
  readonly #selection: Selection;
  readonly #logprobs: TopLogprobs | undefined;
  /** The token to feed next: (1) u32. */
  readonly #token: Tensor;
  /** What has been fed and selected, as far as the host knows it. */
  readonly #known: number[];
  #selected = 0;
  #prefilledAt = 0;
  #latest: Batch | undefined;
  #step: { recorder: Recorder; bound: number; layers: unknown; table: Tensor } | undefined;

  /**
   * @param sequence At least one token long; nothing else may change it until `end`.
   * @param sampling How to select.
   * @param signal Stops within one submit.
   */
  constructor(sequence: Sequence, sampling: ResolvedSampling, signal?: AbortSignal) {
    const { gpu, config, stopIds } = sequence.runtime;
    this.#sequence = sequence;
    this.#sampling = sampling;
    this.#signal = signal;
    this.#known = [...sequence.tokens];
    this.#selection = createSelection(gpu, config.vocabSize, RING);
    setStopIds(gpu, this.#selection, stopIds);
    this.#token = gpu.createTensor("next token", "u32", [1]);
    const { topLogprobs } = sampling;
    if (topLogprobs !== undefined) {
      this.#logprobs = createTopLogprobs(gpu, config.vocabSize, topLogprobs, LOGPROB_ROWS);
    }
    sequence.logprobs = [];
  }

  /** Tokens that can still be selected. */
  get room(): number {
    return this.#sequence.room;
  }

  /** When the prompt was processed, by `performance.now`. */
  get prefilledAt(): number {
    return this.#prefilledAt;
  }

  /**
   * Feeds what has not been fed yet and selects the first new token.
   *
   * @param expected Tokens that are likely to follow, so that the cache need not grow at once.
   */
  begin(expected: number): Promise<Batch> {
    const sequence = this.#sequence;
    const { gpu, contextLength, llama } = sequence.runtime;
    return sequence.runtime.exclusive(async () => {
      const total = this.#known.length;
      sequence.nFed = Math.min(sequence.nFed, total - 1);
      sequence.cache.reserve(Math.min(contextLength, total + expected));
      await prefill(sequence, this.#known, { signal: this.#signal });
      this.#prefilledAt = performance.now();
      gpu.upload(sequence.state, Uint32Array.of(total - 1, 0, 0, 0, 0, 0, 0, 0));
      this.#uploadPenalties();
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
    const { runtime, regime, nFed } = this.#sequence;
    return runtime.exclusive(async () => {
      const { regimeOf } = runtime.rope.rope;
      let steps = 0;
      while (steps < count && regimeOf(nFed + steps + 1) === regime) steps++;
      if (steps === 0) return await this.#feedAgain();
      const step = await this.#recordStep(nFed + steps);
      return this.#submit(Array.from({ length: steps }, () => step), steps, steps);
    });
  }

  /** Ends the generation: of what was selected only that stays in the sequence which it has accepted. */
  end(): void {
    this.#sequence.end();
    this.#selection.dispose();
    this.#logprobs?.dispose();
    this.#token.dispose();
  }

  /** Feeds all tokens, the last selected one included, with the frequencies of their number, and selects the next. */
  async #feedAgain(): Promise<Batch> {
    const sequence = this.#sequence;
    const { gpu, llama } = sequence.runtime;
    await this.#latest?.tokens();
    sequence.cache.reserve(this.#known.length);
    await prefill(sequence, this.#known, { signal: this.#signal });
    gpu.upload(sequence.state, Uint32Array.of(this.#known.length - 1));
    const recorder = gpu.record();
    this.#select(recorder, llama.scratch.logits);
    return this.#submit([recorder], 1, 0);
  }

  async #recordStep(length: number): Promise<Recorder> {
    const { runtime, cache, state } = this.#sequence;
    const { gpu, llama, contextLength } = runtime;
    cache.reserve(length);
    const ropeTable = await runtime.ropeTable(cache.capacity, length);
    let bound = SMALLEST_BOUND;
    while (bound < length) bound *= 2;
    bound = Math.min(bound, contextLength);
    const kept = this.#step;
    if (kept?.bound === bound && kept.layers === cache.layers && kept.table === ropeTable) return kept.recorder;
    const recorder = gpu.record();
    llama.forward(recorder, { tokens: this.#token, nTokens: 1, state, cache, maxKvLength: bound, ropeTable });
    llama.logits(recorder, 0, 1);
    this.#select(recorder, llama.scratch.logits);
    this.#step = { recorder, bound, layers: cache.layers, table: ropeTable };
    return recorder;
  }

  /** Fills what the penalties look at: which tokens the prompt has, and the biases. */
  #uploadPenalties(): void {
    const { gpu, config } = this.#sequence.runtime;
    if (countsTokens(this.#sampling)) {
      const counts = new Uint32Array(config.vocabSize);
      for (const id of this.#known) counts[id] = IN_PROMPT;
      gpu.upload(this.#selection.counts, counts);
    }
    const { logitBias } = this.#sampling;
    if (logitBias.length > 0) gpu.upload(this.#selection.biases, biasEntries(logitBias));
  }

  #select(recorder: Recorder, logits: Tensor): void {
    const { state, runtime } = this.#sequence;
    const nStopIds = runtime.stopIds.length;
    select(recorder, {
      ...{ logits, state, token: this.#token, selection: this.#selection, nStopIds, sampling: this.#sampling },
      ...(this.#logprobs === undefined ? {} : { logprobs: this.#logprobs }),
    });
  }

  #submit(recorders: readonly Recorder[], count: number, nFed: number): Batch {
    const sequence = this.#sequence;
    const { gpu } = sequence.runtime;
    const first = this.#selected;
    this.#selected += count;
    const submittedAt = performance.now();
    const logprobs = this.#logprobs;
    const readback = gpu.submit(recorders, [
      { tensor: sequence.state },
      { tensor: this.#selection.ring },
      ...(logprobs === undefined ? [] : [{ tensor: logprobs.rows }]),
    ]);
    sequence.nFed += nFed;
    const fetch = async () => {
      const words = new Uint32Array((await readback.fetch()).buffer);
      await gpu.settle();
      if (words[1] === DONE_NOT_FINITE) throw notFinite(words[0]!);
      const ids = Array.from({ length: count }, (_, i) => words[8 + ((first + i) % RING)]!);
      this.#known.push(...ids);
      if (logprobs !== undefined) {
        const rows = words.subarray(8 + RING);
        sequence.logprobs.push(...ids.map((id, i) => readTopLogprobs(logprobs, rows, first + i, id)));
      }
      return ids;
    };
    let arriving: Promise<number[]> | undefined;
    return this.#latest = { count, submittedAt, discard: readback.discard, tokens: () => arriving ??= fetch() };
  }
}
