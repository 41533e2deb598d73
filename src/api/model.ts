/**
 * A loaded model.
 *
 * @module
 */
import { blobSource } from "../checkpoint/source.ts";
import { DeviceLostError } from "../errors.ts";
import { variantOf } from "../kernels/attention.ts";
import { productVariantOf } from "../kernels/matvec.ts";
import type { ModelConfig } from "../model/config.ts";
import type { MemoryPlan } from "../model/plan.ts";
import { createRope, type Rope, type RopeFrequencies } from "../model/rope.ts";
import { chooseRope, type RopeChoice } from "../model/rope_choice.ts";
import type { Runtime } from "../model/runtime.ts";
import { Sequence } from "../model/sequence.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { ChatTemplate } from "../chat/chat_template.ts";
import { type ChatMessage, requireMessages } from "../chat/message.ts";
import type { ChatPrompt, ChatPromptOptions } from "../chat/prompt.ts";
import { type ChatOptions, renderChat, requireTemplate } from "./chat.ts";
import type { Generation } from "./generation.ts";
import { grammarsOf } from "./grammars.ts";
import type { Host } from "./host.ts";
import type { ReloadOptions } from "./load_options.ts";
import { type Score, type ScoreOptions, scoreText } from "./score.ts";
import { type GenerateOptions, openSession, Session, type SessionHome } from "./session.ts";
import { restoreSequence } from "./session_file.ts";

/** Options of `Model.generate`. */
export interface PromptOptions extends GenerateOptions {
  /** Whether the prompt gets the special tokens that the tokenizer's config asks for, such as `<s>`. @default {true} */
  readonly addSpecialTokens?: boolean;
}

/** Bytes that a model takes on the GPU now. */
export interface ModelMemory {
  /** Weights, with padding and scales. */
  readonly weightsBytes: number;
  /** Keys and values of all sessions; after a generation without a session, what that one took. */
  readonly kvBytes: number;
  /** Activations, the rotary table at full length, and one sequence's selection, as planned. */
  readonly scratchBytes: number;
  /** All tensors that exist now. */
  readonly allocatedBytes: number;
}

/** What a model is made of. */
export interface ModelParts {
  /** Where files are. */
  readonly host: Host;
  /** The forward pass and what its sequences share; the device is its own, or the caller's. */
  readonly runtime: Runtime;
  /** Text to ids and back. */
  readonly tokenizer: Tokenizer;
  /** The plan that the model was loaded by. */
  readonly plan: MemoryPlan;
  /** The model's chat template; undefined for a base model. */
  readonly chatTemplate: ChatTemplate | undefined;
  /** Makes the runtime again, on another device and with a RoPE scaling. */
  readonly reopen: (options: ReloadOptions, rope: Rope) => Promise<Runtime>;
}

/**
 * A Llama on the GPU. Made by `loadModel`; free it with `dispose` or `using`.
 *
 * @example Continue a prompt
 * ```ts
 * import { loadModel } from "@skein/skein";
 *
 * using model = await loadModel("tests/testdata/pg-nano-yarn-2k");
 * const { text, timings } = await model.generate("Once upon a time", { maxTokens: 20 }).result;
 * console.log(text, timings.decodeTokensPerSecond);
 * ```
 */
export class Model {
  readonly #parts: ModelParts;
  readonly #home: SessionHome;
  #scoring = 0;
  #lastKvBytes = 0;
  readonly #disposing = new AbortController();
  #reloading: Promise<void> | undefined;

  /** Made by `loadModel`. */
  constructor(parts: ModelParts) {
    this.#parts = parts;
    this.#home = {
      host: parts.host,
      runtime: parts.runtime,
      tokenizer: parts.tokenizer,
      grammars: grammarsOf(parts),
      sessions: new Set(),
      onDispose: (session) => this.#lastKvBytes = session.kvBytes,
    };
  }

  /** The model's shape and settings. */
  get config(): ModelConfig {
    return this.#home.runtime.config;
  }

  /** Text to token ids and back. */
  get tokenizer(): Tokenizer {
    return this.#parts.tokenizer;
  }

  /** The model's Jinja chat template; undefined for a base model. */
  get chatTemplate(): string | undefined {
    return this.#parts.chatTemplate?.source;
  }

  /** Most tokens of a session, prompt and completion together. */
  get contextLength(): number {
    return this.#home.runtime.contextLength;
  }

  /** The rotary frequencies in use; of a short input, where they depend on its length. */
  get rope(): RopeFrequencies {
    return this.#home.runtime.rope.frequencies;
  }

  /**
   * Replaces the RoPE scaling, so that several can be compared on weights that are loaded once.
   *
   * @param choice As the option `ropeScaling` of `loadModel`; undefined gives back the model's own.
   * @returns The frequencies in use from now on.
   * @throws {FormatError} If the scaling is unknown, has a key that Skein does not know, or a value out of range.
   * @throws {TypeError} If a session, a generation or a score is under way: its cache holds rotated keys; or if the model
   * is being reloaded.
   */
  scaleRope(choice?: RopeChoice): RopeFrequencies {
    this.#requireAlive();
    if (this.#reloading !== undefined) {
      throw new TypeError("Cannot change the RoPE scaling while the model is being reloaded: wait for that first");
    }
    if (this.#home.sessions.size + this.#scoring > 0) {
      throw new TypeError("Cannot change the RoPE scaling while sessions exist: dispose them first");
    }
    const { config } = this;
    const { scaling, shape } = chooseRope(config, choice);
    this.#home.runtime.replaceRope(createRope(scaling, shape));
    return this.rope;
  }

  /** The plan that the model was loaded by. */
  get plan(): MemoryPlan {
    return this.#parts.plan;
  }

  /** The adapter's name. */
  get deviceName(): string {
    return this.#home.runtime.gpu.name;
  }

  /** Which variants of the kernels run, of products with weights and of attention, and what made the rotary table. */
  get variants(): Readonly<Record<string, string>> {
    const { gpu, rope } = this.#home.runtime;
    return { products: productVariantOf(gpu.traits), attention: variantOf(gpu), ropeTable: rope.source };
  }

  /** Bytes on the GPU now. */
  get memory(): ModelMemory {
    const { plan } = this.#parts;
    const held = [...this.#home.sessions].reduce((sum, session) => sum + session.kvBytes, 0);
    return {
      weightsBytes: plan.weightsBytes,
      kvBytes: held || this.#lastKvBytes,
      scratchBytes: plan.scratchBytes,
      allocatedBytes: this.#home.runtime.gpu.allocatedBytes,
    };
  }

  /**
   * Continues a prompt.
   *
   * @param prompt Text, or token ids taken as they are.
   * @returns The text as it comes: iterate it, or await its `result`.
   * @throws {CapacityError} If the prompt is longer than the context; it is never cut.
   * @throws {GrammarError} When iterated, before the first token, if `grammar` cannot be used.
   * @throws {RangeError} If the prompt is empty, or an option is out of range.
   */
  generate(prompt: string | ArrayLike<number>, options: PromptOptions = {}): Generation {
    if (prompt.length === 0) throw new RangeError("Cannot generate from an empty prompt: give it at least one token");
    this.#requireAlive();
    const session = new Session(this.#home);
    session.append(prompt, { addSpecialTokens: options.addSpecialTokens ?? true });
    return session.generateOnce(options);
  }

  /**
   * Answers a conversation, by the model's own chat template.
   *
   * The template runs in a worker while the answer is awaited, so that what is wrong with it or with the messages is
   * thrown by the iteration.
   *
   * @param messages The conversation, oldest message first.
   * @returns The answer as it comes: iterate it, or await its `result`.
   * @throws {FormatError} If the model has no chat template, by the code `"NoChatTemplate"`; by `"Template"`, when
   * iterated, if its template fails or refuses the messages.
   * @throws {CapacityError} When iterated, if the conversation is longer than the context.
   * @throws {RangeError} If there is no message, or an option is out of range.
   *
   * @example Ask, with a cache that is kept for the next question
   * ```ts
   * import { type ChatMessage, loadModel } from "@skein/skein";
   *
   * using model = await loadModel("tests/testdata/pg-nano-yarn-2k");
   * const messages: ChatMessage[] = [{ role: "user", content: "What is a skein?" }];
   * if (model.tokenizer.chatTemplate !== undefined) { // a base model such as this one has none
   *   using session = model.createSession();
   *   for await (const { text } of model.chat(messages, { session })) console.log(text);
   * }
   * ```
   */
  chat(messages: readonly ChatMessage[], options: ChatOptions = {}): Generation {
    this.#requireAlive();
    requireTemplate(this.#parts.chatTemplate);
    requireMessages(messages);
    const { session } = options;
    if (session !== undefined && !this.#home.sessions.has(session)) {
      throw new TypeError("Cannot chat in this session: it is another model's, or was disposed");
    }
    const prompt = async () => (await this.renderChat(messages, options)).tokens;
    return (session ?? new Session(this.#home)).generateFrom(prompt, options, session === undefined);
  }

  /**
   * The prompt that `chat` makes of a conversation.
   *
   * @throws {FormatError} As `chat` does.
   * @throws {CapacityError} If `dropOldTurns` is set and not even the last turn fits; without it, any length is taken.
   */
  async renderChat(
    messages: readonly ChatMessage[],
    options: ChatPromptOptions & { readonly maxTokens?: number } = {},
  ): Promise<ChatPrompt> {
    this.#requireAlive();
    const { tokenizer, contextLength } = this;
    return await renderChat({ chatTemplate: this.#parts.chatTemplate, tokenizer, contextLength }, messages, options);
  }

  /**
   * Log-probabilities of a text's tokens.
   *
   * @param input Text, or token ids taken as they are; at least two tokens.
   * @throws {CapacityError} If all tokens but the last, which is only predicted, do not fit in the context.
   * @throws {RangeError} If there are fewer than two tokens, or an option is out of range.
   */
  async score(input: string | ArrayLike<number>, options: ScoreOptions = {}): Promise<Score> {
    this.#requireAlive();
    const { runtime } = this.#home;
    const sequence = new Sequence(runtime);
    this.#scoring++;
    try {
      const score = await scoreText(sequence, this.tokenizer, input, options);
      this.#lastKvBytes = sequence.kvBytes;
      return score;
    } catch (error) {
      // What a disposed model leaves behind fails in many ways, for one reason.
      throw runtime.gone.aborted ? runtime.gone.reason : error;
    } finally {
      this.#scoring--;
      sequence.dispose();
    }
  }

  /**
   * Loads the weights again, onto a new device, after a `DeviceLostError`. Sessions keep their tokens and feed them again
   * when they go on. Generations and scores that are under way end with a `DeviceLostError`, and so do those that begin
   * before this is done. While it runs, another call waits for the same, and `dispose` ends it.
   *
   * Other weights of the same names and shapes are loaded as they are: sessions feed their tokens to them.
   *
   * @throws {GpuUnavailableError} If there is no adapter.
   * @throws {FormatError} If the model's config, or its tensors' names, types, shapes or places in the files, are not what
   * they were.
   * @throws {TypeError} If the model was loaded on a caller's device and no `device` is given, or is disposed meanwhile.
   */
  reload(options: ReloadOptions = {}): Promise<void> {
    this.#requireAlive();
    return this.#reloading ??= this.#reload(options).finally(() => this.#reloading = undefined);
  }

  /** An empty session, which keeps its cache between generations. Dispose it when done. */
  createSession(): Session {
    this.#requireAlive();
    return openSession(this.#home);
  }

  /**
   * A session that `Session.save` wrote.
   *
   * @param from Path of the file, which needs permission to read it, or its content.
   * @throws {FormatError} If it is no session file, is not whole, or was made by another model, RoPE scaling or KV cache
   * format.
   * @throws {CapacityError} If its tokens do not fit in the context.
   */
  async restoreSession(from: string | Blob): Promise<Session> {
    this.#requireAlive();
    const { runtime, host } = this.#home;
    const source = typeof from === "string"
      ? host.openFile(from)
      : blobSource(new Map([["session", from]]), "the session");
    return openSession(this.#home, await restoreSequence(runtime, source));
  }

  /** Frees all GPU memory of the model and its sessions. */
  dispose(): void {
    if (this.#disposing.signal.aborted) return;
    const { runtime, sessions } = this.#home;
    const reason = new TypeError("The model was disposed");
    this.#disposing.abort(reason);
    runtime.stop(reason);
    for (const session of [...sessions]) session.dispose();
    this.#parts.tokenizer.dispose();
    this.#parts.chatTemplate?.dispose();
    this.#home.grammars.dispose();
    runtime.gpu.dispose();
  }

  /** Frees the model when a `using` block ends. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  async #reload(options: ReloadOptions): Promise<void> {
    const lost = this.#home.runtime;
    lost.stop(new DeviceLostError("The device was lost, and the model is being loaded again"));
    lost.gpu.dispose();
    const disposing = this.#disposing.signal;
    const signal = options.signal === undefined ? disposing : AbortSignal.any([options.signal, disposing]);
    const runtime = await this.#parts.reopen({ ...options, signal }, lost.rope.rope);
    if (disposing.aborted) {
      runtime.gpu.dispose();
      this.#requireAlive();
    }
    this.#home.runtime = runtime;
  }

  #requireAlive(): void {
    this.#disposing.signal.throwIfAborted();
  }
}
