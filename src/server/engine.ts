/**
 * One model that is served: requests wait here for their turn, run side by side, and leave their caches to the next.
 *
 * @module
 */
import type { GenerationResult, TextChunk } from "../api/generation.ts";
import type { Model } from "../api/model.ts";
import type { GenerateOptions, Session } from "../api/session.ts";
import { DeviceLostError } from "../errors.ts";
import { ApiError } from "./api_error.ts";
import { Gate } from "./gate.ts";
import { PrefixCache } from "./prefix_cache.ts";

/** How an engine shares its model. */
export interface EngineOptions {
  /** Generations that run at a time. */
  readonly maxRunning: number;
  /** Requests that may wait. */
  readonly maxQueue: number;
  /** Caches of earlier requests that are kept. */
  readonly prefixCache: number;
  /** Brings a model back whose device was lost. Default: `model.reload()`. */
  readonly reload?: (model: Model) => Promise<void>;
  /** Told what becomes of the engine itself. */
  readonly onLog: (line: string) => void;
}

/** How often a model is loaded again after one loss, and milliseconds before the second time; then twice as many. */
const MOST_RELOADS = 4;
const RELOAD_PAUSE_MS = 1000;

/** Completions that are wanted. */
export interface EngineRequest {
  /** Token ids of the prompts. */
  readonly prompts: readonly (readonly number[])[];
  /** Completions of each prompt. */
  readonly n: number;
  /** How to select, and when to stop. With a seed, completion i of a prompt gets the seed plus i. */
  readonly options: GenerateOptions;
  /** Stops everything, waiting or running. */
  readonly signal: AbortSignal;
  /** Takes each piece of completion `index` of all; the generation goes on when it has. */
  readonly onChunk: (index: number, chunk: TextChunk) => Promise<void> | void;
}

/** What came of a request. */
export interface EngineResult {
  /** The completions, those of the first prompt first. */
  readonly choices: readonly GenerationResult[];
  /** Prompt tokens that were cached. */
  readonly cachedTokens: number;
}

/** See the module's description. */
export class Engine {
  /** The model's id in the API. */
  readonly id: string;
  /** The model. */
  readonly model: Model;
  /** Who runs and who waits. */
  readonly gate: Gate;
  readonly #cache: PrefixCache;
  readonly #options: EngineOptions;
  readonly #disposing = new AbortController();
  #isLost = false;
  /** How many devices were lost: what a request tells of an earlier one is no news. */
  #losses = 0;

  /** Takes over the model's sessions, not the model. */
  constructor(id: string, model: Model, options: EngineOptions) {
    const { maxRunning, maxQueue, prefixCache } = options;
    this.id = id;
    this.model = model;
    this.#options = options;
    this.gate = new Gate(maxRunning, maxQueue);
    this.#cache = new PrefixCache(model, prefixCache);
  }

  /** Whether the device is lost, and the model not loaded again yet. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /**
   * Generates what is asked for, when its turn comes.
   *
   * @throws {ApiError} 503 if too many requests wait, or the model is being loaded again.
   * @throws {CapacityError} If a prompt does not fit in the context.
   * @throws {DeviceLostError} If the device is lost on the way; the model is loaded again then.
   */
  run(request: EngineRequest): Promise<EngineResult> {
    const { prompts, n, signal } = request;
    const width = Math.min(this.gate.width, prompts.length * n);
    return this.#enter(width, signal, (losses) => this.#generate(request, width, losses));
  }

  async #generate(
    { prompts, n, options, signal, onChunk }: EngineRequest,
    width: number,
    losses: number,
  ): Promise<EngineResult> {
    // One that fails ends the others, which would else be orphans.
    const failing = new AbortController();
    const ending = AbortSignal.any([signal, failing.signal]);
    const bases: Session[] = [];
    const choices: GenerationResult[] = [];
    let cachedTokens = 0;
    try {
      for (const prompt of prompts) {
        const { session, cached } = this.#cache.take(prompt);
        bases.push(session);
        cachedTokens += cached;
        // All completions of a prompt go on from one prefill.
        if (n > 1) await prefill(session, ending);
      }
      const jobs = prompts.flatMap((_, at) =>
        Array.from({ length: n }, (_, i) => async () => {
          const session = n === 1 ? bases[at]! : bases[at]!.fork();
          const seed = options.seed === undefined ? {} : { seed: (options.seed + i) % Number.MAX_SAFE_INTEGER };
          const generation = session.generate({ ...options, ...seed, signal: ending });
          try {
            for await (const chunk of generation) await onChunk(at * n + i, chunk);
            choices[at * n + i] = await generation.result;
          } finally {
            if (n > 1) session.dispose();
          }
        })
      );
      await runAll(jobs, width, failing);
    } finally {
      for (const session of bases) {
        // What it held on a device that was lost is not cached, whoever takes it.
        if (losses === this.#losses) this.#cache.give(session);
        else session.dispose();
      }
    }
    return { choices, cachedTokens };
  }

  /** Log-probabilities of a prompt's tokens, each given those before it; in its turn, as all else. */
  async score(prompt: readonly number[], signal: AbortSignal): Promise<Float32Array> {
    if (prompt.length < 2) return new Float32Array();
    return await this.#enter(1, signal, async () => (await this.model.score(prompt, { signal })).logprobs);
  }

  /** Frees the caches that are kept. */
  dispose(): void {
    this.#disposing.abort();
    this.#cache.clear();
  }

  /** Works in its turn; `work` is told how many devices were lost before. */
  async #enter<T>(width: number, signal: AbortSignal, work: (losses: number) => Promise<T>): Promise<T> {
    const leave = await this.gate.enter(width, signal);
    const losses = this.#losses;
    try {
      if (this.#isLost) {
        throw new ApiError(503, "The GPU was lost, and the model is not loaded again yet; try again later", {
          code: "device_lost",
          headers: { "retry-after": "5" },
        });
      }
      return await work(losses);
    } catch (error) {
      if (error instanceof DeviceLostError && losses === this.#losses) void this.#recover();
      throw error;
    } finally {
      leave();
    }
  }

  /** Loads the model again after its device was lost. Where that cannot be, the engine stays lost. */
  async #recover(): Promise<void> {
    this.#isLost = true;
    this.#losses++;
    const { reload = (model) => model.reload(), onLog } = this.#options;
    onLog(`the GPU was lost: ${this.id} is being loaded again`);
    for (let time = 0; time < MOST_RELOADS && !this.#disposing.signal.aborted; time++) {
      if (time > 0) await this.#pause(RELOAD_PAUSE_MS * 2 ** (time - 1));
      try {
        await reload(this.model);
        // What they held is gone, and who takes one would be told that it is cached.
        this.#cache.clear();
        this.#isLost = false;
        onLog(`${this.id} is loaded again`);
        return;
      } catch (error) {
        if (this.#disposing.signal.aborted) return;
        onLog(`${this.id} cannot be loaded again: ${(error as Error)?.name ?? typeof error}`);
      }
    }
    if (!this.#disposing.signal.aborted) onLog(`${this.id} is not served any more: start the server again`);
  }

  #pause(ms: number): Promise<void> {
    const { signal } = this.#disposing;
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
    });
  }
}

/** Feeds a session: its first new token is selected, and forgotten. */
async function prefill(session: Session, signal: AbortSignal): Promise<void> {
  const { length } = session;
  await session.generate({ maxTokens: 1, contextPolicy: "stop", signal }).result;
  session.truncate(length);
}

/** Runs jobs, `width` of them at a time; the first that fails aborts the rest, and its error is thrown. */
async function runAll(
  jobs: readonly (() => Promise<void>)[],
  width: number,
  failing: AbortController,
): Promise<void> {
  const waiting = [...jobs];
  const errors: unknown[] = [];
  const work = async () => {
    for (let job = waiting.shift(); job !== undefined && errors.length === 0; job = waiting.shift()) {
      try {
        await job();
      } catch (error) {
        errors.push(error);
        failing.abort(error);
      }
    }
  };
  await Promise.all(Array.from({ length: width }, work));
  if (errors.length > 0) throw errors[0];
}
