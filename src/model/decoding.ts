/**
 * One generation on the GPU: the token to feed next, how it is selected, and what has been selected.
 *
 * @module
 */
import { CapacityError } from "../errors.ts";
import type { Readback, ReadRequest } from "../gpu/readback.ts";
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
import type { Constraint } from "./constraint.ts";
import type { Segment } from "./llama.ts";
import { notFinite } from "./not_finite.ts";
import { prefill } from "./prefill.ts";
import { checkSelection } from "./selection_check.ts";
import type { Sequence } from "./sequence.ts";
import { Verification } from "./verification.ts";

/** Generated ids that the GPU keeps for the host to fetch; far more than two submits hold. */
const RING = 1024;

/** Log-probabilities that the GPU keeps for the host to fetch, which it does with every submit; more than two hold. */
const LOGPROB_ROWS = 256;

/** The smallest bound that a decode step is recorded for, in tokens; bounds double from it. */
const SMALLEST_BOUND = 256;

/** Bytes that a generation takes besides its sequence's. */
export function decodingBytes(vocabSize: number, maxBatch: number): number {
  return selectionBytes(vocabSize, RING) + byteLengthOf("f32", [vocabSize]) + byteLengthOf("u32", [maxBatch]);
}

let nextId = 0;

/** What a generation may ask for besides the sampling. */
export interface DecodingOptions {
  /** How many tokens to guess at a time. Default 0, for none; with a constraint, none. */
  readonly speculate?: number;
  /** What the tokens are held to. Default nothing. */
  readonly constraint?: Constraint | undefined;
  /** Stops within one submit. */
  readonly signal?: AbortSignal | undefined;
}

/** See the module's description. */
export class Decoding {
  /** Unique in this process, in order of creation. */
  readonly id: number = nextId++;
  /** The sequence that it continues. */
  readonly sequence: Sequence;
  /** Logits of the sequence's row, where a pass has several: (vocabSize) f32. */
  readonly logits: Tensor;
  readonly #sampling: ResolvedSampling;
  readonly #constraint: Constraint | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #selection: Selection;
  readonly #logprobs: TopLogprobs | undefined;
  /** Guesses and verifies, where that is asked for. */
  readonly verification: Verification | undefined;
  /** The token to feed next, and room for guesses after it: (maxBatch) u32. */
  readonly token: Tensor;
  /** What has been fed and selected, as far as the host knows it. */
  #known: number[];
  #selected = 0;
  #prefilledAt = 0;
  #slides = 0;
  #latest: Batch | undefined;
  #hasEnded = false;

  /**
   * @param sequence At least one token long; nothing else may change it until `end`.
   * @param sampling How to select; plainly greedy with speculation.
   */
  constructor(sequence: Sequence, sampling: ResolvedSampling, options: DecodingOptions = {}) {
    const { speculate = 0, constraint, signal } = options;
    const { gpu, config, stopIds, maxBatch } = sequence.runtime;
    this.sequence = sequence;
    this.#sampling = sampling;
    this.#constraint = constraint;
    this.#signal = signal;
    this.#known = [...sequence.tokens];
    this.logits = gpu.createTensor("logits of one row", "f32", [config.vocabSize]);
    this.#selection = createSelection(gpu, config.vocabSize, RING);
    setStopIds(gpu, this.#selection, stopIds);
    this.token = gpu.createTensor("next token", "u32", [maxBatch]);
    if (speculate > 0) this.verification = new Verification(gpu, config.vocabSize, speculate);
    const { topLogprobs } = sampling;
    if (topLogprobs !== undefined) {
      this.#logprobs = createTopLogprobs(gpu, config.vocabSize, topLogprobs, LOGPROB_ROWS);
    }
    sequence.logprobs = [];
  }

  /** Tokens that can still be selected. */
  get room(): number {
    return this.sequence.runtime.contextLength - this.#known.length;
  }

  /** How often tokens were forgotten to make room. */
  get slides(): number {
    return this.#slides;
  }

  /** When the prompt was processed, by `performance.now`. */
  get prefilledAt(): number {
    return this.#prefilledAt;
  }

  /** Why it cannot go on, if anything stands in its way. */
  get refusal(): Error | undefined {
    if (this.#hasEnded) return new TypeError("The generation has ended");
    const { runtime, gone } = this.sequence;
    return [runtime.gone, gone, this.#signal].find((signal) => signal?.aborted)?.reason;
  }

  /**
   * Whether the tokens on their way are wanted before more are asked for: guesses follow the last of them, and what a
   * constraint allows next depends on it.
   */
  get wantsTokens(): boolean {
    if (this.#constraint !== undefined) return true;
    return this.verification !== undefined && this.verification.propose(this.#known, Infinity).length > 0;
  }

  /** Whether a constraint lets nothing follow the tokens that have been fetched. */
  get isComplete(): boolean {
    return this.#constraint?.isComplete === true;
  }

  /** What the host reads of a submit. */
  reads(proposals: readonly number[] = []): readonly ReadRequest[] {
    if (proposals.length > 0) return [{ tensor: this.verification!.partials }];
    const { rows } = this.#logprobs ?? {};
    const tensors = [this.sequence.state, this.#selection.ring, ...(rows === undefined ? [] : [rows])];
    return tensors.map((tensor) => ({ tensor }));
  }

  /**
   * Feeds what has not been fed yet and selects the first new token.
   *
   * @param expected Tokens that are likely to follow, so that the cache need not grow at once.
   */
  async begin(expected: number): Promise<Batch> {
    const { sequence } = this;
    const { contextLength, gpu } = sequence.runtime;
    const total = this.#known.length;
    await checkSelection(gpu, { sampling: this.#sampling, isMasked: this.#constraint !== undefined }).catch((error) => {
      throw this.refusal ?? error;
    });
    await this.#constrain([]);
    sequence.nFed = Math.min(sequence.nFed, total - 1);
    await sequence.reserve(Math.min(contextLength, total + expected));
    return await this.#feed();
  }

  /**
   * Feeds the last selected token and selects the next, at most `most` times, in one submit that is shared with other
   * sequences. The batch says how often: few times where a step takes long.
   *
   * Where the rotary frequencies depend on the length, they may change on the way. They are the whole input's, in every
   * layer, so that keys and values of all tokens change with them: all are fed again, and the result is that of a fresh
   * prefill. LongRoPE does so once; dynamic scalings do it for every token past their switch.
   */
  async advance(most: number): Promise<Batch> {
    const { runtime, regime, nFed } = this.sequence;
    const { regimeOf } = runtime.rope.rope;
    let steps = 0;
    const atOnce = this.#constraint === undefined ? most : Math.min(most, 1);
    while (steps < atOnce && regimeOf(nFed + steps + 1) === regime) steps++;
    if (steps === 0) return await this.#feedAgain();
    const isUpToDate = this.#known.length === nFed + 1;
    const proposals = isUpToDate ? this.verification?.propose(this.#known, steps - 1) : undefined;
    return await runtime.scheduler.advance(this, steps, proposals ?? []);
  }

  /**
   * Forgets the tokens between the first `sinks` and the last `window`, feeds the latter again where they now stand, and
   * selects the next. Tokens that the sequence has not accepted yet are kept even where the window has no room for them.
   *
   * @throws {CapacityError} If those fill the context.
   */
  async slide({ sinks, window }: { readonly sinks: number; readonly window: number }): Promise<Batch> {
    const { sequence } = this;
    const { contextLength } = sequence.runtime;
    await this.#latest?.tokens();
    const held = this.#known.slice(sequence.tokens.length);
    const recent = Math.max(window, held.length);
    if (sinks + recent >= contextLength) {
      throw new CapacityError(
        `Cannot make room in the context: ${held.length} tokens may be the begin of a stop string and the context length is ${contextLength}; use shorter stop strings`,
        { requested: sinks + recent + 1, available: contextLength, unit: "tokens" },
      );
    }
    sequence.slide(sinks, recent - held.length);
    this.#known = [...sequence.tokens, ...held];
    this.#slides++;
    return await (this.#latest === undefined ? this.begin(0) : this.#feedAgain());
  }

  /** Makes room for the keys and values of `steps` more tokens. */
  reserve(steps: number): Promise<void> {
    return this.sequence.reserve(this.sequence.nFed + steps);
  }

  /** The bound to record for `steps` more tokens, which changes seldom. */
  boundAfter(steps: number): number {
    const { nFed, runtime } = this.sequence;
    let bound = SMALLEST_BOUND;
    while (bound < nFed + steps) bound *= 2;
    return Math.min(bound, runtime.contextLength);
  }

  /** Rows of a pass: the token to feed next and the guesses after it. */
  segment(nTokens: number, maxKvLength: number, ropeTable: Tensor): Segment {
    const { state, cache } = this.sequence;
    return { nTokens, state, cache, maxKvLength, ropeTable };
  }

  /** Puts guesses after the token to feed next, for what is submitted from now on. */
  uploadProposals(proposals: readonly number[]): void {
    if (proposals.length > 0) this.sequence.runtime.gpu.upload(this.token, Uint32Array.from(proposals), 4);
  }

  /** Records the selection of the next token. */
  select(recorder: Recorder, logits: Tensor): void {
    const { state, runtime } = this.sequence;
    const nStopIds = runtime.stopIds.length;
    select(recorder, {
      ...{ logits, state, token: this.token, selection: this.#selection, nStopIds, sampling: this.#sampling },
      isMasked: this.#constraint !== undefined,
      ...(this.#logprobs === undefined ? {} : { logprobs: this.#logprobs }),
    });
  }

  /**
   * Takes note of a submit that selects tokens.
   *
   * @param readback What `reads()` asks for.
   * @param count Tokens that it selects.
   * @param nFed Tokens that it feeds.
   */
  submitted(readback: Readback, count: number, nFed: number): Batch {
    const { sequence } = this;
    const { gpu } = sequence.runtime;
    const first = this.#selected;
    const logprobs = this.#logprobs;
    this.#selected += count;
    sequence.nFed += nFed;
    const fetch = async () => {
      const words = new Uint32Array((await readback.fetch()).buffer);
      await gpu.settle();
      const ids = Array.from({ length: count }, (_, i) => words[8 + ((first + i) % RING)]!);
      if (words[1] === DONE_NOT_FINITE) throw await notFinite(sequence, [...this.#known, ...ids].slice(0, words[0]));
      this.#known.push(...ids);
      await this.#constrain(ids);
      if (logprobs !== undefined) {
        const rows = words.subarray(8 + RING);
        sequence.logprobs.push(...ids.map((id, i) => readTopLogprobs(logprobs, rows, first + i, id)));
      }
      return ids;
    };
    return this.#batch(count, readback, fetch);
  }

  /**
   * Takes note of a submit that verifies guesses. Keys and values of those that are wrong are overwritten in time.
   *
   * @param readback What `reads(proposals)` asks for.
   */
  verifies(readback: Readback, proposals: readonly number[]): Batch {
    const { sequence } = this;
    const { gpu } = sequence.runtime;
    sequence.takeRows(1 + proposals.length);
    return this.#batch(1 + proposals.length, readback, async () => {
      const words = new Uint32Array((await readback.fetch()).buffer);
      await gpu.settle();
      const ids = this.verification!.selected(proposals, words);
      if (ids === undefined) throw await notFinite(sequence, this.#known);
      if (this.refusal !== undefined) throw this.refusal;
      this.#known.push(...ids);
      this.#selected += ids.length;
      sequence.nFed += ids.length;
      gpu.upload(sequence.state, Uint32Array.of(sequence.nFed, 0, this.#selected));
      gpu.upload(this.token, Uint32Array.of(ids.at(-1)!));
      return ids;
    });
  }

  /** Ends the generation: of what was selected only that stays in the sequence which it has accepted. */
  end(): void {
    this.#hasEnded = true;
    this.sequence.runtime.scheduler.leave(this);
    this.sequence.end();
    this.logits.dispose();
    this.#selection.dispose();
    this.#logprobs?.dispose();
    this.verification?.dispose();
    this.token.dispose();
  }

  #batch(count: number, { discard }: Readback, fetch: () => Promise<number[]>): Batch {
    let arriving: Promise<number[]> | undefined;
    const tokens = () =>
      arriving ??= fetch().catch((error) => {
        // What a disposed model or session leaves behind fails in many ways, for one reason.
        throw this.refusal ?? error;
      });
    return this.#latest = { count, discard, tokens };
  }

  /** Feeds what is not cached any more, the last selected token included, and selects the next. */
  async #feedAgain(): Promise<Batch> {
    this.sequence.runtime.scheduler.leave(this);
    await this.#latest?.tokens();
    await this.sequence.reserve(this.#known.length);
    return await this.#feed();
  }

  /** Feeds all known tokens that are not cached and selects the next. */
  async #feed(): Promise<Batch> {
    const { sequence } = this;
    const total = this.#known.length;
    let batch: Batch | undefined;
    await prefill(sequence, this.#known, {
      finish: (begin, count, logitsRow) => {
        if (begin + count === total) batch = this.#selectFirst(total, logitsRow);
        return Promise.resolve();
      },
    }, this.#signal);
    return batch!;
  }

  /** Selects from a row of the logits that a chunk has left. */
  #selectFirst(total: number, row: number): Batch {
    const { state, runtime: { gpu, llama, scheduler, config: { vocabSize } } } = this.sequence;
    this.#prefilledAt ||= performance.now();
    if (this.#selected === 0) this.#uploadPenalties();
    gpu.upload(state, Uint32Array.of(total - 1, 0, this.#selected, 0, 0, 0, 0, 0));
    const recorder = gpu.record();
    const { logits } = llama.scratch;
    if (row > 0) recorder.copy(logits, row * vocabSize * 4, this.logits, 0, vocabSize * 4);
    this.select(recorder, row > 0 ? this.logits : logits);
    scheduler.join(this);
    return this.submitted(gpu.submit([recorder], this.reads()), 1, 0);
  }

  /** Tells the constraint what was selected, and the GPU what may follow. */
  async #constrain(ids: readonly number[]): Promise<void> {
    if (this.#constraint === undefined) return;
    if (ids.length > 0) await this.#constraint.accept(ids);
    if (this.refusal !== undefined) throw this.refusal;
    this.sequence.runtime.gpu.upload(this.#selection.allowed, this.#constraint.allowed);
  }

  /** Fills what the penalties look at: which tokens the prompt has, and the biases. */
  #uploadPenalties(): void {
    const { gpu, config } = this.sequence.runtime;
    if (countsTokens(this.#sampling)) {
      const counts = new Uint32Array(config.vocabSize);
      for (const id of this.#known) counts[id] = IN_PROMPT;
      gpu.upload(this.#selection.counts, counts);
    }
    const { logitBias } = this.#sampling;
    if (logitBias.length > 0) gpu.upload(this.#selection.biases, biasEntries(logitBias));
  }
}
