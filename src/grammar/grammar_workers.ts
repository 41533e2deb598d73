/**
 * Grammars at work. Each generation that is held to one has a worker of its own while it runs: whatever a grammar that
 * comes from outside makes of its time and memory, it is bounded, and nobody else's.
 *
 * @module
 */
import { GrammarError } from "../errors.ts";
import type { Constraint } from "../model/constraint.ts";
import { call, END, START_MS, untilReady } from "../worker/call.ts";
import type { GrammarSource } from "./grammar.ts";
import { type GrammarFault, refusal, shortened } from "./grammar_fault.ts";
import type { TokenBytes } from "./token_bytes.ts";

/** What the worker is asked: to know a vocabulary, to begin a text of a grammar, or to take in what came. */
export type GrammarRequest =
  | { readonly tokens: TokenBytes; readonly endIds: Uint32Array }
  | { readonly grammar: GrammarSource }
  | { readonly ids: readonly number[] };

/** Where a text stands. */
export interface GrammarState {
  /** Tokens that may come next, a bit for each: (ceil(vocabSize / 32)) u32. */
  readonly allowed: Uint32Array<ArrayBuffer>;
  /** Whether nothing may follow. */
  readonly isComplete: boolean;
}

/**
 * What the worker answers: where the text stands, why the grammar fails, or that the worker is of no more use; it may be
 * spent by looking for the place where a grammar fails, too.
 */
export type GrammarAnswer =
  | GrammarState
  | { readonly fault: GrammarFault; readonly code: GrammarError["code"]; readonly isSpent?: boolean }
  | { readonly stopped: string };

/** Bounds on a grammar's time. */
export interface GrammarLimits {
  /** Most milliseconds until it can begin. Default 10,000. */
  readonly beginMs?: number;
  /** Most milliseconds of one step. Default 5,000. */
  readonly stepMs?: number;
}

/** A worker is kept this long for the next generation, in milliseconds: it takes some 100 to start. */
const IDLE_MS = 2000;

/** Workers that are kept at most. */
const MOST_IDLE = 4;

/** The vocabulary that workers are told, made when there is a first. */
export interface GrammarVocabulary {
  /** Bytes of all tokens. */
  readonly spell: () => Promise<TokenBytes>;
  /** Tokens that end a text. */
  readonly endIds: readonly number[];
}

/** The workers of one model. */
export class GrammarWorkers implements Disposable {
  readonly #vocabulary: GrammarVocabulary;
  readonly #openWorker: () => Worker;
  readonly #limits: Required<GrammarLimits>;
  readonly #gone = new AbortController();
  /** All workers that run, those at rest too. */
  readonly #workers = new Set<Worker>();
  /** Workers at rest, each with the timer that ends it. */
  readonly #idle = new Map<Worker, ReturnType<typeof setTimeout>>();
  #tokens: Promise<TokenBytes> | undefined;

  /** @param openWorker Starts `grammar_worker.ts`. */
  constructor(
    vocabulary: GrammarVocabulary,
    openWorker: () => Worker,
    { beginMs = 10_000, stepMs = 5_000 }: GrammarLimits = {},
  ) {
    this.#vocabulary = vocabulary;
    this.#openWorker = openWorker;
    this.#limits = { beginMs, stepMs };
  }

  /**
   * Begins a text.
   *
   * @param signal Ends the wait, and that for each step.
   * @throws {GrammarError} If the grammar cannot be used.
   */
  async begin(grammar: GrammarSource, signal?: AbortSignal): Promise<GrammarMatcher> {
    const signals = AbortSignal.any([this.#gone.signal, ...(signal === undefined ? [] : [signal])]);
    signals.throwIfAborted();
    const worker = this.#take() ?? await this.#start(signals);
    let isSound = true;
    const tooComplex = (reason: string, cause?: string) =>
      new GrammarError("TooComplex", `${refusal(grammar.kind, { told: reason })}; use a simpler one`, { cause });
    const ask = async (request: GrammarRequest, timeoutMs: number): Promise<GrammarState> => {
      isSound = false;
      const answer = await call<GrammarAnswer>(worker, request, { timeoutMs, failure: tooComplex, signal: signals });
      if ("stopped" in answer) {
        throw tooComplex("it takes more memory than it may, or trips what follows it", answer.stopped);
      }
      isSound = !("isSpent" in answer);
      if ("fault" in answer) throw new GrammarError(answer.code, refusal(grammar.kind, answer.fault));
      return answer;
    };
    // One that runs on, or has stopped in the middle, would not hear that it is to end.
    const release = () => isSound ? this.#give(worker) : this.#terminate(worker);
    try {
      const first = await ask({ grammar }, this.#limits.beginMs);
      return new GrammarMatcher(first, (ids) => ask({ ids }, this.#limits.stepMs), release);
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Ends the workers, those of texts under way too. */
  dispose(): void {
    this.#gone.abort(new TypeError("The model was disposed"));
    for (const worker of [...this.#workers]) {
      if (this.#idle.has(worker)) this.#end(worker);
      else this.#terminate(worker);
    }
  }

  /** Ends the workers when a `using` block ends. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  #take(): Worker | undefined {
    const [entry] = this.#idle;
    if (entry === undefined) return undefined;
    clearTimeout(entry[1]);
    this.#idle.delete(entry[0]);
    return entry[0];
  }

  #give(worker: Worker): void {
    // Ended at the disposal.
    if (!this.#workers.has(worker)) return;
    if (this.#idle.size >= MOST_IDLE) return this.#end(worker);
    this.#idle.set(worker, setTimeout(() => this.#end(worker), IDLE_MS));
  }

  #end(worker: Worker): void {
    clearTimeout(this.#idle.get(worker));
    this.#idle.delete(worker);
    this.#workers.delete(worker);
    worker.postMessage(END);
  }

  #terminate(worker: Worker): void {
    this.#workers.delete(worker);
    worker.terminate();
  }

  async #start(signal: AbortSignal): Promise<Worker> {
    const worker = this.#openWorker();
    this.#workers.add(worker);
    try {
      await untilReady(worker, { failure: noWorker, signal });
      this.#tokens ??= this.#vocabulary.spell();
      const endIds = Uint32Array.from(this.#vocabulary.endIds);
      const request: GrammarRequest = { tokens: await this.#tokens, endIds };
      const answer = await call<GrammarAnswer>(worker, request, { timeoutMs: START_MS, failure: noWorker, signal });
      if ("fault" in answer) throw noWorker(answer.fault.told);
      if ("stopped" in answer) throw noWorker(answer.stopped);
      return worker;
    } catch (error) {
      this.#terminate(worker);
      signal.throwIfAborted();
      throw error;
    }
  }
}

/** A text on its way through a grammar. Dispose it when the text ends. */
export class GrammarMatcher implements Constraint, Disposable {
  #state: GrammarState;
  readonly #step: (ids: readonly number[]) => Promise<GrammarState>;
  #release: (() => void) | undefined;

  /** Made by `GrammarWorkers.begin`. */
  constructor(first: GrammarState, step: (ids: readonly number[]) => Promise<GrammarState>, release: () => void) {
    this.#state = first;
    this.#step = step;
    this.#release = release;
  }

  /** Tokens that may come next, a bit for each. */
  get allowed(): Uint32Array<ArrayBuffer> {
    return this.#state.allowed;
  }

  /** Whether nothing may follow. */
  get isComplete(): boolean {
    return this.#state.isComplete;
  }

  /**
   * Takes in the tokens that came, each of which the grammar allows after those before it.
   *
   * @throws {GrammarError} If the grammar has become too complex, or no token of the model can follow.
   */
  async accept(ids: readonly number[]): Promise<void> {
    this.#state = await this.#step(ids);
  }

  /** Lets another text have the worker. */
  dispose(): void {
    this.#release?.();
    this.#release = undefined;
  }

  /** As `dispose`, when a `using` block ends. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

function noWorker(reason: string): TypeError {
  return new TypeError(`Cannot start the worker that follows grammars: ${shortened(reason)}`);
}
