/**
 * Chunks of prompts that wait for their turn. A turn feeds the chunk whose turn it is, and with it what others wait to
 * feed, as far as one pass has room: short prompts that come at once then take one pass instead of one each.
 *
 * @module
 */
import type { Recorder } from "../gpu/recorder.ts";
import type { Segment } from "./llama.ts";
import type { Runtime } from "./runtime.ts";
import type { Sequence } from "./sequence.ts";

/** What to do with a chunk of `count` tokens from index `begin` on. */
export interface ChunkWork {
  /**
   * Records what follows the chunk's layers, which leave its rows in the scratch from row 0 on. A chunk with such work
   * shares its pass with no other; without it, the logits of the sequence's last token are made.
   */
  readonly record?: (recorder: Recorder, begin: number, count: number) => void;
  /**
   * Takes up what was recorded, before another pass may begin.
   *
   * @param logitsRow Row of `scratch.logits` that the last token of all has, if it is in the chunk and made logits.
   */
  readonly finish: (begin: number, count: number, logitsRow: number) => Promise<void>;
}

/** A chunk that waits. */
export interface Chunk {
  /** Where keys and values go; it has room for them. */
  readonly sequence: Sequence;
  /** The sequence's tokens: the chunk is what follows those that have been fed, or the first part of it. */
  readonly tokens: readonly number[];
  /** What follows. */
  readonly work: ChunkWork;
  /** Stops at once while it waits, else within one submit. */
  readonly stops: AbortSignal;
}

interface Turn extends Chunk {
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** See the module's description. */
export class ChunkQueue {
  readonly #runtime: Runtime;
  #waiting: Turn[] = [];

  /** Made by the runtime. */
  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** Feeds a sequence's next chunk, when its turn comes. One that is stopped before is refused at once. */
  feed(chunk: Chunk): Promise<void> {
    const { stops } = chunk;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const turn = { ...chunk, resolve, reject };
    const leave = () => {
      if (!this.#waiting.includes(turn)) return;
      this.#waiting = this.#waiting.filter((each) => each !== turn);
      reject(stops.reason);
    };
    this.#waiting.push(turn);
    if (stops.aborted) leave();
    else stops.addEventListener("abort", leave);
    void this.#runtime.scheduler.exclusive(() => this.#run(turn));
    return promise.finally(() => stops.removeEventListener("abort", leave));
  }

  /** Never fails: each chunk is told by itself. */
  async #run(first: Turn): Promise<void> {
    let turns = this.#takeWith(first);
    while (turns.length > 0) {
      try {
        turns = await this.#feed(turns);
      } catch (error) {
        for (const { reject } of turns) reject(error);
        return;
      }
    }
  }

  /** Takes the chunk whose turn it is, and those that can share its pass; none if it was taken before. */
  #takeWith(first: Turn): Turn[] {
    if (!this.#waiting.includes(first)) return [];
    const { prefillChunk, rope, llama: { scratch } } = this.#runtime;
    const taken = [first];
    let nRows = this.#rowsOf(first);
    // Where the length changes the rotary frequencies, each sequence has its own.
    const isShared = first.work.record === undefined && rope.rope.steadyLength === Infinity;
    for (const turn of isShared ? this.#waiting : []) {
      const rows = this.#rowsOf(turn);
      if (turn === first || turn.work.record !== undefined || nRows + rows > prefillChunk) continue;
      if (taken.length === scratch.logits.shape[0]) break;
      taken.push(turn);
      nRows += rows;
    }
    this.#waiting = this.#waiting.filter((turn) => !taken.includes(turn));
    return taken;
  }

  #rowsOf({ sequence, tokens }: Chunk): number {
    return Math.min(tokens.length - sequence.nFed, this.#runtime.prefillChunk);
  }

  /**
   * Feeds chunks in one pass. Where one is stopped on the way, its tensors may be gone, and all stop.
   *
   * @returns The chunks that are still to be fed then: those that nobody stopped.
   */
  async #feed(turns: readonly Turn[]): Promise<Turn[]> {
    const { gpu, scheduler } = this.#runtime;
    const going = await this.#reserve(turns.filter(isGoing));
    if (going.length === 0) return [];
    try {
      const placed = going.map((turn) => ({ turn, begin: turn.sequence.nFed, count: this.#rowsOf(turn) }));
      const capacity = Math.max(...going.map(({ sequence }) => sequence.cache.capacity));
      const ropeTable = await this.#runtime.ropeTable(capacity, Math.max(...going.map(({ tokens }) => tokens.length)));
      if (going.some(({ stops }) => stops.aborted)) return going;
      const recorder = gpu.record();
      const logitsRows = this.#record(recorder, placed, ropeTable);
      for (const { turn, count } of placed) turn.sequence.takeRows(count);
      await scheduler.runChunk(recorder, AbortSignal.any(going.map(({ stops }) => stops)), going.length);
      await gpu.settle();
      await Promise.all(placed.map(async ({ turn, begin, count }, i) => {
        if (!isGoing(turn)) return;
        try {
          turn.sequence.nFed = begin + count;
          await turn.work.finish(begin, count, logitsRows[i]!);
          turn.resolve();
        } catch (error) {
          turn.reject(error);
        }
      }));
      return [];
    } catch (error) {
      if (going.some(({ stops }) => stops.aborted)) return going;
      throw error;
    }
  }

  /** Makes room in the rotary table. Where there is none, only that chunk is refused. */
  async #reserve(turns: readonly Turn[]): Promise<Turn[]> {
    const ready: Turn[] = [];
    for (const turn of turns) {
      const { sequence: { cache }, tokens, stops, reject } = turn;
      try {
        await this.#runtime.ropeTable(cache.capacity, tokens.length);
        ready.push(turn);
      } catch (error) {
        reject(stops.aborted ? stops.reason : error);
      }
    }
    return ready;
  }

  /** Records a pass; returns the row of logits of each chunk that is its sequence's last, and -1 for others. */
  #record(
    recorder: Recorder,
    placed: readonly { readonly turn: Turn; readonly begin: number; readonly count: number }[],
    ropeTable: Segment["ropeTable"],
  ): number[] {
    const { gpu, llama } = this.#runtime;
    const { tokens } = llama.scratch;
    const ids: number[] = [];
    const rows: number[] = [];
    const logitsRows: number[] = [];
    const segments = placed.map(({ turn, begin, count }): Segment => {
      const { state, cache } = turn.sequence;
      ids.push(...turn.tokens.slice(begin, begin + count));
      gpu.upload(state, Uint32Array.of(begin));
      const isLast = turn.work.record === undefined && begin + count === turn.tokens.length;
      logitsRows.push(isLast ? rows.push(ids.length - 1) - 1 : -1);
      return { nTokens: count, state, cache, maxKvLength: begin + count, ropeTable };
    });
    gpu.upload(tokens, Uint32Array.from(ids));
    llama.forward(recorder, tokens, segments);
    if (rows.length > 0) llama.logitsOf(recorder, rows);
    for (const { turn: { work }, begin, count } of placed) work.record?.(recorder, begin, count);
    return logitsRows;
  }
}

/** Whether a chunk is still wanted; if not, it is refused with the reason. */
function isGoing({ stops, reject }: Turn): boolean {
  if (stops.aborted) reject(stops.reason);
  return !stops.aborted;
}
