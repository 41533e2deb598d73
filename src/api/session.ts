/**
 * A session keeps a sequence and its cache between generations.
 *
 * @module
 */
import { type ContextPolicy, resolveContextPolicy } from "../generate/context_policy.ts";
import { type GrammarOptions, resolveGrammar } from "../grammar/grammar.ts";
import type { GrammarWorkers } from "../grammar/grammar_workers.ts";
import { resolveStop, type StopOptions } from "../generate/stop.ts";
import { resolveSampling, type SamplingOptions } from "../generate/sampling.ts";
import { resolveSpeculation, type SpeculationOptions } from "../generate/speculation.ts";
import type { Runtime } from "../model/runtime.ts";
import { Sequence } from "../model/sequence.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { TextStream } from "../tokenizer/text_stream.ts";
import { Generation } from "./generation.ts";
import type { Host } from "./host.ts";
import { sessionBytes } from "./session_file.ts";

/** Options of a generation. */
export interface GenerateOptions extends GrammarOptions, SamplingOptions, SpeculationOptions, StopOptions {
  /**
   * What happens where the context ends before `maxTokens`, which is 256 unless given: with a prompt of 200 tokens and a
   * context of 256, 56 tokens come and then this. A prompt that is longer than the context is an error whatever it says.
   *
   * @default {"error"}
   */
  readonly contextPolicy?: ContextPolicy;
  /** Aborting ends the generation within one submit; its loop then throws the signal's reason. */
  readonly signal?: AbortSignal;
  /** Whether special tokens are spelled out in the text, as a parser of tool calls wants them. @default {false} */
  readonly keepSpecialTokens?: boolean;
}

/** What the sessions of a model share. */
export interface SessionHome {
  /** Where files are. */
  readonly host: Host;
  /** The forward pass: another one after `Model.reload`. */
  runtime: Runtime;
  /** Text to ids and back. */
  readonly tokenizer: Tokenizer;
  /** What follows texts through grammars. */
  readonly grammars: GrammarWorkers;
  /** Sessions that hold memory, or may. */
  readonly sessions: Set<Session>;
  /** Told before a session's memory is freed. */
  readonly onDispose: (session: Session) => void;
}

/** A conversation or a document in progress. */
export class Session {
  readonly #home: SessionHome;
  #latest: Sequence;
  /** The sequence that something is under way with. */
  #busy: Sequence | undefined;
  #disposed = false;

  /** Made by `Model.createSession`. */
  constructor(home: SessionHome, sequence: Sequence = new Sequence(home.runtime)) {
    this.#home = home;
    this.#latest = sequence;
  }

  /** The tokens with their cache: with an empty one, where the model was reloaded since. */
  get #sequence(): Sequence {
    const { runtime } = this.#home;
    if (this.#latest.runtime !== runtime) {
      const { tokens } = this.#latest;
      this.#latest.dispose();
      this.#latest = new Sequence(runtime);
      this.#latest.append(tokens);
      this.#busy = undefined;
    }
    return this.#latest;
  }

  /** Tokens so far: what was appended, and what generations yielded. */
  get length(): number {
    return this.#sequence.tokens.length;
  }

  /** Ids of the tokens so far. */
  get tokens(): readonly number[] {
    return this.#sequence.tokens;
  }

  /** Bytes of its keys and values. */
  get kvBytes(): number {
    return this.#sequence.kvBytes;
  }

  /**
   * Adds text or token ids. Text is encoded with the tokenizer's special tokens only where the session is empty.
   *
   * @throws {CapacityError} If they do not fit in the context; nothing is added then.
   * @throws {RangeError} If an id is not in the vocabulary.
   */
  append(input: string | ArrayLike<number>, options: { readonly addSpecialTokens?: boolean } = {}): void {
    this.#requireIdle();
    const addSpecialTokens = options.addSpecialTokens ?? this.length === 0;
    this.#sequence.append(typeof input === "string" ? this.#home.tokenizer.encode(input, { addSpecialTokens }) : input);
  }

  /**
   * Forgets all tokens from index `length` on.
   *
   * @throws {RangeError} If there are fewer.
   */
  truncate(length: number): void {
    this.#requireIdle();
    this.#sequence.truncate(length);
  }

  /**
   * Makes the tokens these. What is cached of their common beginning stays, and is not fed again.
   *
   * @throws {CapacityError} If they do not fit in the context; nothing changes then.
   * @throws {RangeError} If an id is not in the vocabulary; nothing changes then.
   */
  replace(tokens: ArrayLike<number>): void {
    this.#requireIdle();
    this.#replace(tokens);
  }

  /** A session of its own with the same tokens and a copy of the cache. Dispose it too. */
  fork(): Session {
    this.#requireIdle();
    return openSession(this.#home, this.#sequence.fork());
  }

  /**
   * Writes the session, cache included, for `Model.restoreSession`.
   *
   * @param to Path of a file, which is replaced whole or not at all and needs permission to read and write beside it; or
   * a stream, which is closed, or aborted where writing fails.
   */
  async save(to: string | WritableStream<Uint8Array>): Promise<void> {
    this.#requireIdle();
    const { runtime } = this.#home;
    const sequence = this.#busy = this.#sequence;
    try {
      await runtime.exclusive(() => {
        const pieces = sessionBytes(runtime, sequence);
        return typeof to === "string" ? this.#home.host.writeFile(to, pieces) : writeAll(to, pieces);
      });
    } finally {
      this.#release(sequence);
    }
  }

  /**
   * Continues the session. What is yielded becomes part of it, and nothing else: not the stop token, and not what the
   * GPU had selected when the caller stopped. Where `contextPolicy` has sinks and the context is full, tokens of the
   * session are forgotten.
   *
   * @throws {CapacityError} From the generation, where the context ends before `maxTokens` and `contextPolicy` is "error".
   * @throws {GrammarError} From the generation, before its first token if `grammar` cannot be used.
   * @throws {RangeError} If an option is out of range, or the session is empty.
   * @throws {TypeError} If another generation of this session is running.
   */
  generate(options: GenerateOptions = {}): Generation {
    this.#requireIdle();
    return this.#generate(options);
  }

  /** Like `generate`, and disposes the session at the end. */
  generateOnce(options: GenerateOptions): Generation {
    return this.#generate(options, { onEnd: () => this.dispose() });
  }

  /**
   * Like `generate`, after `replace` with a prompt that takes a while to make.
   *
   * @param prompt Makes the prompt, when the generation is iterated.
   * @param isOnce Whether the session is disposed at the end.
   * @internal
   */
  generateFrom(prompt: () => Promise<ArrayLike<number>>, options: GenerateOptions, isOnce: boolean): Generation {
    this.#requireIdle();
    return this.#generate(options, { prompt, ...(isOnce ? { onEnd: () => this.dispose() } : {}) });
  }

  /** Frees the cache. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#home.sessions.delete(this);
    this.#home.onDispose(this);
    this.#latest.dispose();
  }

  /** Frees the cache when a `using` block ends. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  #generate(
    options: GenerateOptions,
    { prompt, onEnd }: { prompt?: () => Promise<ArrayLike<number>>; onEnd?: () => void } = {},
  ): Generation {
    const { config, maxBatch, prefillChunk, contextLength, stopIds } = this.#home.runtime;
    const sampling = resolveSampling(options, config.vocabSize);
    const { maxTokens, stop } = resolveStop(options);
    const speculate = resolveSpeculation(options, sampling, Math.min(maxBatch, prefillChunk));
    const grammar = options.grammar === undefined ? undefined : resolveGrammar(options.grammar);
    if (grammar !== undefined && speculate > 0) {
      throw new RangeError("Cannot speculate with a grammar: guesses are not held to it; leave out one of the two");
    }
    const contextPolicy = resolveContextPolicy(options.contextPolicy ?? "error", contextLength);
    if (prompt === undefined && this.length === 0) {
      throw new RangeError("Cannot generate from an empty prompt: give it at least one token");
    }
    let sequence: Sequence | undefined;
    const end = () => {
      this.#release(sequence);
      onEnd?.();
    };
    return new Generation({
      open: async () => {
        this.#requireIdle();
        this.#home.runtime.gone.throwIfAborted();
        // What is never iterated is in no list, so that nothing keeps it.
        this.#home.sessions.add(this);
        sequence = this.#busy = this.#sequence;
        try {
          if (prompt !== undefined) {
            const tokens = await prompt();
            if (this.#disposed) throw new TypeError("The session was disposed");
            this.#replace(tokens);
          }
          const { tokenizer } = this.#home;
          const stream = new TextStream(tokenizer, { stop, skipSpecialTokens: options.keepSpecialTokens !== true });
          return { sequence, stream };
        } catch (error) {
          end();
          throw error;
        }
      },
      sampling,
      speculate,
      openGrammar: grammar === undefined ? undefined : () => this.#home.grammars.begin(grammar, options.signal),
      loop: {
        maxTokens,
        contextPolicy,
        stopIds: new Set(stopIds),
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      },
      onEnd: end,
    });
  }

  #replace(tokens: ArrayLike<number>): void {
    const held = this.#sequence.tokens;
    if (tokens.length === 0) throw new RangeError("Cannot use an empty prompt: give it at least one token");
    let same = 0;
    while (same < held.length && same < tokens.length && held[same] === tokens[same]) same++;
    const rest = held.slice(same);
    this.#sequence.truncate(same);
    try {
      this.#sequence.append(Array.prototype.slice.call(tokens, same));
    } catch (error) {
      this.#sequence.append(rest);
      throw error;
    }
  }

  #release(sequence: Sequence | undefined): void {
    if (this.#busy === sequence) this.#busy = undefined;
  }

  #requireIdle(): void {
    if (this.#disposed) throw new TypeError("The session was disposed");
    if (this.#busy !== undefined && this.#busy === this.#sequence) {
      throw new TypeError("A generation of this session is running; let it end first");
    }
  }
}

/** A session that the model frees when it is disposed itself. */
export function openSession(home: SessionHome, sequence?: Sequence): Session {
  const session = new Session(home, sequence);
  home.sessions.add(session);
  return session;
}

/** Not `ReadableStream.from(pieces).pipeTo(stream)`, which browsers have only lately. */
async function writeAll(stream: WritableStream<Uint8Array>, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  const writer = stream.getWriter();
  try {
    for await (const piece of pieces) await writer.write(piece);
    await writer.close();
  } catch (error) {
    await writer.abort(error).catch(() => {});
    throw error;
  }
}
