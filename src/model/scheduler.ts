/**
 * Whose turn it is. Chunks of prompts take turns one by one; sequences that decode take theirs together, in passes that
 * each feeds one row. A sequence joins by asking for its next tokens, and is out of the batch when it does not.
 *
 * A pass waits for those that were in the one before, for as long as their coming back is likely: without that, two
 * sequences that are out of step would alternate for ever. While prompts are fed, passes go between their submits, and
 * either side has half of the time; several prompts that are fed at once have each a pass's time, within bounds.
 *
 * @module
 */
import { Pacer, SUBMIT_MS } from "../gpu/pacer.ts";
import type { Recorder } from "../gpu/recorder.ts";
import { MAX_DISPATCHES } from "../gpu/runner.ts";
import type { Tensor } from "../gpu/tensor.ts";
import type { Batch } from "./batch.ts";
import type { Decoding } from "./decoding.ts";
import type { KvLayer } from "./kv_cache.ts";
import type { Runtime } from "./runtime.ts";
import { SharedReadback } from "./shared_readback.ts";

/** Decoding steps in the first submits, before the adapter's speed is known. */
const FIRST_STEPS = { software: 1, gpu: 4 };

/** Milliseconds of prefill between two passes at most. */
const MOST_PREFILL_MS = 150;

/** Milliseconds that a pass waits at most, after the one before, for members whose callers are still at work. */
const MOST_GRACE_MS = 20;

/** A generation that wants its next tokens. */
interface Request {
  readonly decoding: Decoding;
  /** How many it wants at most. */
  readonly most: number;
  /** Guesses to feed after the token that is next, and to verify; then it takes part in a single step. */
  readonly proposals: readonly number[];
  readonly resolve: (batch: Batch) => void;
  readonly reject: (reason: unknown) => void;
}

/** A recording that serves as long as its members, their tensors and their bounds are the same. */
interface Kept {
  readonly members: readonly { decoding: Decoding; nRows: number; bound: number; layers: readonly KvLayer[] }[];
  readonly ropeTable: Tensor;
  readonly recorder: Recorder;
}

/** See the module's description. */
export class Scheduler {
  readonly #runtime: Runtime;
  /** Steps in a millisecond, by rows of a pass. */
  readonly #pacers = new Map<number, Pacer>();
  #turn: Promise<unknown> = Promise.resolve();
  #queue: Request[] = [];
  /** Who took part in the latest pass and has neither come back nor left. */
  #away = new Set<Decoding>();
  /** Until when a pass waits for them, by `performance.now`. */
  #patience = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** While tokens on their way are left to come: work that is submitted meanwhile would delay them. */
  #pausing: Promise<unknown> | undefined;
  #inChunk = false;
  #inPass = false;
  /** How long the latest pass takes, and when it is done, both expected until they are known. */
  #passMs = 0;
  #passEnd = 0;
  /** When it is done at the earliest. */
  #leastEnd = 0;
  /** When the GPU was last known to be done with a pass. */
  #lastDone = 0;
  #kept: Kept | undefined;
  #stopped: Error | undefined;

  /** Made by the runtime, whose other parts exist. */
  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** Runs `work` when no other such work of this model is under way: chunks share activations. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }

  /**
   * Runs a recording with chunks of some sequences, with passes between its submits. Called within `exclusive`, and as
   * soon as the rotary table that it names is there.
   */
  async runChunk(recorder: Recorder, signal: AbortSignal, nSequences: number): Promise<void> {
    // From now on, not after the pause: a pass that grows the rotary table would free the one that is recorded here.
    this.#inChunk = true;
    try {
      await this.#pausing;
      await this.#runtime.gpu.run(recorder, signal, this.#isSteady ? () => this.#between(nSequences) : undefined);
    } finally {
      this.#inChunk = false;
      // Where the next chunk follows at once, passes go between its submits too. One that began here would keep the
      // event loop, until it is done, from handing out the tokens of the pass before.
      clearTimeout(this.#timer);
      if (this.#queue.length > 0) this.#timer = setTimeout(() => this.#pump());
    }
  }

  /**
   * Asks for the next tokens of a generation, which has no other such wish open.
   *
   * @param most How many tokens at most; the batch says how many it will be.
   * @param proposals Guesses to verify.
   */
  advance(decoding: Decoding, most: number, proposals: readonly number[]): Promise<Batch> {
    if (this.#stopped !== undefined) return Promise.reject(this.#stopped);
    return new Promise((resolve, reject) => {
      this.#queue.push({ decoding, most: proposals.length > 0 ? 1 : most, proposals, resolve, reject });
      this.#away.delete(decoding);
      this.#pump();
    });
  }

  /** Tells that a generation's first token has been selected: it is likely to want the next ones soon. */
  join(decoding: Decoding): void {
    this.#away.add(decoding);
    this.#patience = Math.max(this.#patience, performance.now() + MOST_GRACE_MS);
  }

  /** Takes a generation out of the batch; what it asked for last is refused. */
  leave(decoding: Decoding): void {
    const isOf = (request: Request) => request.decoding === decoding;
    for (const { reject } of this.#queue.filter(isOf)) reject(new TypeError("The generation has ended"));
    this.#queue = this.#queue.filter((request) => !isOf(request));
    this.#away.delete(decoding);
    if (this.#kept?.members.some((member) => member.decoding === decoding)) this.#kept = undefined;
    this.#pump();
  }

  /** Refuses all wishes, those to come included. */
  stop(reason: Error): void {
    this.#stopped = reason;
    for (const { reject } of this.#queue.splice(0)) reject(reason);
    this.#pump();
  }

  /** Whether one rotary table serves sequences of all lengths. */
  get #isSteady(): boolean {
    return this.#runtime.rope.rope.steadyLength === Infinity;
  }

  /** Whether nobody that is likely to come soon is missing. */
  #isComplete(now: number): boolean {
    return this.#queue.length > 0 && (this.#away.size === 0 || now >= this.#patience);
  }

  /** Begins a pass if it is time for one, or sees to it that somebody looks again. */
  #pump(): void {
    clearTimeout(this.#timer);
    if (this.#queue.length === 0 || this.#inPass || this.#inChunk || this.#pausing !== undefined) return;
    const now = performance.now();
    if (this.#isComplete(now)) void this.#pass();
    else this.#timer = setTimeout(() => this.#pump(), this.#patience - now);
  }

  async #between(nSequences: number): Promise<void> {
    const now = performance.now();
    if (this.#inPass || !this.#isComplete(now)) return;
    if (now - this.#passEnd < Math.min(this.#passMs * nSequences, MOST_PREFILL_MS)) return;
    await this.#pass();
    // Members ask for their tokens before the prompt's next submit, which Deno would make them wait for.
    await new Promise((resolve) => setTimeout(resolve));
  }

  /** Never fails: each request is told by itself. */
  async #pass(): Promise<void> {
    this.#inPass = true;
    await (this.#isSteady ? this.#runPass() : this.exclusive(() => this.#runPass()));
    this.#inPass = false;
    this.#pump();
  }

  async #runPass(): Promise<void> {
    let requests = this.#take();
    if (requests.length === 0) return;
    const pacer = this.#pacerOf(rowsOf(requests));
    const steps = requests.reduce((least, { most }) => Math.min(least, most), Math.max(1, Math.floor(pacer.budget)));
    requests = await this.#reserve(requests, steps);
    try {
      const caches = requests.map(({ decoding }) => decoding.sequence.cache);
      const length = Math.max(...requests.map(({ decoding }) => decoding.sequence.nFed + steps));
      const ropeTable = await this.#runtime.ropeTable(Math.max(...caches.map(({ capacity }) => capacity)), length);
      if (!this.#inChunk) this.#runtime.rope.release();
      requests = requests.filter((request) => this.#isWelcome(request));
      if (requests.length === 0) return;
      const { recorder, members } = this.#record(requests, steps, ropeTable);
      // Those that one submit had no room for are the first of the next.
      this.#queue.unshift(...requests.splice(members.length));
      this.#submit(requests, recorder, steps, pacer);
    } catch (error) {
      for (const { reject } of requests) reject(error);
    }
  }

  /** Takes from the queue who can be in one pass; whoever cannot be in any is refused. */
  #take(): Request[] {
    const taken: Request[] = [];
    const rest: Request[] = [];
    let nRows = 0;
    for (const request of this.#queue) {
      if (!this.#isWelcome(request)) continue;
      // Of sequences that are rotated by different frequencies each has its pass.
      const isAlike = request.decoding.sequence.regime === (taken[0] ?? request).decoding.sequence.regime;
      const rows = rowsOf([request]);
      const isTaken = isAlike && nRows + rows <= this.#runtime.maxBatch;
      if (isTaken) nRows += rows;
      (isTaken ? taken : rest).push(request);
    }
    this.#queue = rest;
    // The same members are the same recording, whoever came first.
    return taken.sort((a, b) => a.decoding.id - b.decoding.id);
  }

  /** Whether a request still stands; if not, it is refused with the reason. */
  #isWelcome({ decoding, reject }: Request): boolean {
    const refusal = decoding.refusal;
    if (refusal !== undefined) reject(refusal);
    return refusal === undefined;
  }

  /** Makes room for the steps, in the rotary table too. Where there is none, only that request fails. */
  async #reserve(requests: readonly Request[], steps: number): Promise<Request[]> {
    const ready: Request[] = [];
    for (const request of requests) {
      const { sequence } = request.decoding;
      try {
        await request.decoding.reserve(Math.max(steps, rowsOf([request])));
        await this.#runtime.ropeTable(sequence.cache.capacity, sequence.nFed + steps);
        ready.push(request);
      } catch (error) {
        request.reject(request.decoding.refusal ?? error);
      }
    }
    return ready;
  }

  /** The recording of one step of the requests, or of as many of them, from the first, as one submit can hold. */
  #record(requests: readonly Request[], steps: number, ropeTable: Tensor): Kept {
    const { gpu, stepLlama, config: { vocabSize } } = this.#runtime;
    const members = requests.map((request) => {
      const { decoding } = request;
      const nRows = rowsOf([request]);
      const bound = decoding.boundAfter(Math.max(steps, nRows));
      return { decoding, nRows, bound, layers: decoding.sequence.cache.layers };
    });
    const kept = this.#kept;
    const isSame = kept?.ropeTable === ropeTable && kept.members.length === members.length &&
      members.every(({ decoding, nRows, bound, layers }, i) => {
        const other = kept.members[i]!;
        return decoding === other.decoding && nRows === other.nRows && bound === other.bound && layers === other.layers;
      });
    if (isSame) return kept;
    const recorder = gpu.record();
    const { tokens, logits } = stepLlama.scratch;
    const segments = members.map(({ decoding, nRows, bound }) => decoding.segment(nRows, bound, ropeTable));
    stepLlama.forward(recorder, gathered(recorder, members, tokens), segments);
    stepLlama.logits(recorder, 0, rowsOf(requests));
    let row = 0;
    for (const { decoding, nRows } of members) {
      if (nRows > 1) {
        decoding.verification!.record(recorder, logits, row, nRows);
      } else {
        if (row > 0) recorder.copy(logits, row * vocabSize * 4, decoding.logits, 0, vocabSize * 4);
        decoding.select(recorder, row > 0 ? decoding.logits : logits);
      }
      row += nRows;
    }
    if (recorder.steps.length > MAX_DISPATCHES && members.length > 1) {
      return this.#record(requests.slice(0, Math.ceil(members.length / 2)), steps, ropeTable);
    }
    return this.#kept = { members, ropeTable, recorder };
  }

  #submit(requests: readonly Request[], recorder: Recorder, steps: number, pacer: Pacer): void {
    const reads = requests.map(({ decoding, proposals }) => decoding.reads(proposals));
    const submittedAt = performance.now();
    for (const { decoding, proposals } of requests) decoding.uploadProposals(proposals);
    const readback = this.#runtime.gpu.submit(Array.from({ length: steps }, () => recorder), reads.flat());
    const away = new Set(requests.map(({ decoding }) => decoding));
    this.#away = away;
    this.#expect(submittedAt + steps * SUBMIT_MS / pacer.budget, submittedAt);
    this.#leastEnd = submittedAt + pacer.leastMs(steps);
    const shared = new SharedReadback(readback, requests.length, () => this.#pause(), (at) => {
      const began = Math.max(submittedAt, this.#lastDone);
      pacer.observe(steps, at - began);
      this.#lastDone = at;
      if (this.#away === away) this.#expect(at, began);
      this.#pump();
    });
    let begin = 0;
    requests.forEach(({ decoding, proposals, resolve }, i) => {
      const end = reads[i]!.reduce((sum, { tensor }) => sum + tensor.byteLength, begin);
      const part = shared.part(begin, end);
      resolve(proposals.length > 0 ? decoding.verifies(part, proposals) : decoding.submitted(part, steps, steps));
      begin = end;
    });
  }

  /** Leaves the event loop to others for a part of the latest pass, unless a prompt is fed meanwhile. */
  #pause(): Promise<unknown> | undefined {
    const pause = this.#inChunk ? undefined : this.#runtime.gpu.pause(this.#leastEnd - performance.now());
    if (pause === undefined) return undefined;
    const over = pause.then(() => {
      if (this.#pausing === over) this.#pausing = undefined;
    });
    return this.#pausing = over;
  }

  /** Notes when the latest pass is or will be done, and how long the next one waits for its members. */
  #expect(done: number, began: number): void {
    this.#passEnd = done;
    this.#passMs = done - began;
    this.#patience = done + Math.min(MOST_GRACE_MS, Math.max(2, this.#passMs / 4));
  }

  #pacerOf(nRows: number): Pacer {
    let pacer = this.#pacers.get(nRows);
    if (pacer === undefined) {
      const first = this.#runtime.gpu.isSoftware ? FIRST_STEPS.software : FIRST_STEPS.gpu;
      this.#pacers.set(nRows, pacer = new Pacer(first / SUBMIT_MS));
    }
    return pacer;
  }
}

/** Records that the tokens to feed stand one after the other; gives the tensor that has them: (at least all rows) u32. */
function gathered(recorder: Recorder, members: Kept["members"], tokens: Tensor): Tensor {
  // A copy ends the compute pass, which one sequence alone is better off without.
  if (members.length === 1) return members[0]!.decoding.token;
  let row = 0;
  for (const { decoding: { token }, nRows } of members) {
    recorder.copy(token, 0, tokens, 4 * row, 4 * nRows);
    row += nRows;
  }
  return tokens;
}

/** Rows that requests take in a pass: the next token of each, and its guesses. */
function rowsOf(requests: readonly Request[]): number {
  return requests.reduce((sum, { proposals }) => sum + 1 + proposals.length, 0);
}
