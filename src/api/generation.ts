/**
 * One generation, as its caller sees it: text that arrives, and an account of it at the end.
 *
 * @module
 */
import { CapacityError } from "../errors.ts";
import { type FinishReason, generateTokens, type TokenLoop } from "../generate/generate.ts";
import type { ResolvedSampling } from "../generate/sampling.ts";
import type { GrammarMatcher } from "../grammar/grammar_workers.ts";
import { Decoding } from "../model/decoding.ts";
import type { SpeculationFigures } from "../model/verification.ts";
import type { TokenLogprobs } from "../kernels/top_logprobs.ts";
import type { Sequence } from "../model/sequence.ts";
import type { TextStream } from "../tokenizer/text_stream.ts";

/** A piece of generated text. */
export interface TextChunk {
  /** Text that is new since the last chunk; whole characters only. */
  readonly text: string;
  /** Ids of the tokens that are complete with this text. */
  readonly tokens: readonly number[];
  /** How likely each of these tokens was, where `topLogprobs` asks for it. */
  readonly logprobs?: readonly TokenLogprobs[];
}

/** How long the parts of a generation took. */
export interface GenerationTimings {
  /** Milliseconds from the start until the prompt was processed. */
  readonly prefillMs: number;
  /** Prompt tokens that were not cached yet, processed in a second; the last one always is processed. */
  readonly prefillTokensPerSecond: number;
  /** Milliseconds from the start until the first token was known. */
  readonly firstTokenMs: number;
  /** Milliseconds from the first token to the last. */
  readonly decodeMs: number;
  /** Tokens after the first in a second; null where there were none. */
  readonly decodeTokensPerSecond: number | null;
}

/** The account of a finished generation. */
export interface GenerationResult {
  /** The completion, without stop token or stop string. */
  readonly text: string;
  /** Its token ids, without the stop token. */
  readonly tokens: readonly number[];
  /** How likely each token was, where `topLogprobs` asks for it. */
  readonly logprobs?: readonly TokenLogprobs[];
  /** Why it ended. */
  readonly finishReason: FinishReason;
  /** What came of guesses, with the option `speculate`. */
  readonly speculation?: SpeculationFigures;
  /** How often the context was full and tokens were forgotten; 0 unless `contextPolicy` has sinks. */
  readonly contextSlides: number;
  /** Tokens that went in and came out. */
  readonly usage: { readonly promptTokens: number; readonly completionTokens: number };
  /** How long it took. */
  readonly timings: GenerationTimings;
}

/** What a generation is made of. */
export interface GenerationParts {
  /**
   * Brings the sequence to its prompt, where that takes a while, and makes the decoder that turns ids into text and
   * watches for stop strings. Called once, before anything else.
   */
  readonly open: () => Promise<{ readonly sequence: Sequence; readonly stream: TextStream }>;
  /** How tokens are selected. */
  readonly sampling: ResolvedSampling;
  /** How many tokens to guess at a time. */
  readonly speculate: number;
  /** Begins the grammar that the text is held to. Default: it is held to none. */
  readonly openGrammar: (() => Promise<GrammarMatcher>) | undefined;
  /** When to stop. */
  readonly loop: TokenLoop;
  /** Called once at the end, however it ends. */
  readonly onEnd: () => void;
}

/** Ends generations whose reader was forgotten half way, when the garbage collector finds that out. */
const forgotten = new FinalizationRegistry<AsyncGenerator<TextChunk, GenerationResult>>((running) => {
  running.return(undefined as never).catch(() => {});
});

/**
 * Text being generated. Iterate it once; leaving the loop early ends the generation and keeps what was yielded.
 *
 * Nothing runs, and no memory is taken, before the first chunk is asked for; between two chunks the GPU is at most one
 * batch of tokens ahead of the reader. A reader that is neither read to its end nor closed keeps its memory until it is
 * garbage.
 *
 * @example Print text as it comes
 * ```ts
 * import { loadModel } from "@skein/skein";
 *
 * using model = await loadModel("tests/testdata/pg-nano-yarn-2k");
 * for await (const { text } of model.generate("Once upon a time", { maxTokens: 20 })) console.log(text);
 * ```
 */
export class Generation implements AsyncIterable<TextChunk> {
  readonly #parts: GenerationParts;
  #iterator: AsyncGenerator<TextChunk, GenerationResult> | undefined;
  #result: GenerationResult | undefined;

  /** Made by `Model.generate` and `Session.generate`. */
  constructor(parts: GenerationParts) {
    this.#parts = parts;
  }

  /** Iterates the text. A generation can be iterated once. */
  [Symbol.asyncIterator](): AsyncIterator<TextChunk> {
    if (this.#iterator !== undefined) throw new TypeError("A generation can be iterated once; call generate() again");
    const running = this.#iterator = this.#run();
    const reader: AsyncIterator<TextChunk> = {
      next: () => running.next(),
      return: () => running.return(undefined as never),
    };
    forgotten.register(reader, running);
    return reader;
  }

  /**
   * The account at the end; asking for it runs a generation that is not iterated.
   *
   * @throws {TypeError} If it was iterated and left before its end.
   */
  get result(): Promise<GenerationResult> {
    return this.#finish();
  }

  /** The text as a stream of strings; cancelling it ends the generation. */
  stream(): ReadableStream<string> {
    const iterator = this[Symbol.asyncIterator]();
    return new ReadableStream<string>({
      async pull(controller) {
        const { done, value } = await iterator.next();
        if (done) controller.close();
        else controller.enqueue(value.text);
      },
      async cancel() {
        await iterator.return?.();
      },
    }, { highWaterMark: 0 });
  }

  async #finish(): Promise<GenerationResult> {
    if (this.#iterator === undefined) { for await (const _ of this); }
    if (this.#result === undefined) throw new TypeError("The generation was left before its end and has no result");
    return this.#result;
  }

  async *#run(): AsyncGenerator<TextChunk, GenerationResult> {
    const { open, sampling, speculate, openGrammar, loop, onEnd } = this.#parts;
    const { sequence, stream } = await open();
    const promptTokens = sequence.tokens.length;
    const started = performance.now();
    let firstAt: number | undefined;
    let lastAt = started;
    let text = "";
    const tokens: number[] = [];
    let held: number[] = [];
    const told = (first: number, count: number) =>
      sampling.topLogprobs === undefined ? {} : { logprobs: sequence.logprobs.slice(first, first + count) };
    const accept = (piece: string): TextChunk => {
      const chunk = { text: piece, tokens: held, ...told(tokens.length, held.length) };
      text += piece;
      tokens.push(...held);
      sequence.accept(held);
      held = [];
      return chunk;
    };
    let ids: AsyncGenerator<number, FinishReason | "full"> | undefined;
    let constraint: GrammarMatcher | undefined;
    try {
      constraint = await openGrammar?.();
      await sequence.settle();
      const { uncached, runtime: { gpu } } = sequence;
      const decoding = await gpu.allocate(() =>
        new Decoding(sequence, sampling, { speculate, constraint, signal: loop.signal })
      );
      ids = generateTokens(decoding, loop);
      let finishReason: FinishReason = "length";
      while (true) {
        const step = await ids.next();
        if (step.done) {
          const rest = stream.flush();
          if (rest !== "" || held.length > 0) yield accept(rest);
          if (step.value !== "full") finishReason = step.value;
          else if (loop.contextPolicy === "error") throw fullContext(sequence, tokens.length, loop.maxTokens);
          break;
        }
        // What a session or a model that was disposed has left is not told any more.
        if (decoding.refusal !== undefined) throw decoding.refusal;
        lastAt = performance.now();
        firstAt ??= lastAt;
        held.push(step.value);
        const piece = stream.push(step.value);
        if (stream.stopped) {
          finishReason = "stop";
          if (piece !== "") yield accept(piece);
          break;
        }
        if (piece !== "") yield accept(piece);
      }
      const first = firstAt ?? lastAt;
      const prefillMs = decoding.prefilledAt - started;
      const decoded = tokens.length - 1;
      this.#result = {
        text,
        tokens,
        ...told(0, tokens.length),
        finishReason,
        ...(decoding.verification === undefined ? {} : { speculation: decoding.verification.figures }),
        contextSlides: decoding.slides,
        usage: { promptTokens, completionTokens: tokens.length },
        timings: {
          prefillMs,
          prefillTokensPerSecond: (uncached * 1000) / prefillMs,
          firstTokenMs: first - started,
          decodeMs: lastAt - first,
          decodeTokensPerSecond: decoded > 0 && lastAt > first ? (decoded * 1000) / (lastAt - first) : null,
        },
      };
      return this.#result;
    } catch (error) {
      throw sequence.refusal ?? error;
    } finally {
      await ids?.return("length");
      constraint?.dispose();
      stream.dispose();
      onEnd();
    }
  }
}

function fullContext(sequence: Sequence, generated: number, maxTokens: number): CapacityError {
  const { contextLength } = sequence.runtime;
  const nPrompt = sequence.tokens.length - generated;
  return new CapacityError(
    `Cannot generate ${maxTokens} tokens after ${nPrompt}: the context length is ${contextLength}, and ${generated} were generated; lower maxTokens, load with a larger contextLength, or set contextPolicy to "stop" or to { sinks: 4 }`,
    { requested: nPrompt + maxTokens, available: contextLength, unit: "tokens" },
  );
}
