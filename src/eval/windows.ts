/**
 * Which parts of a document a perplexity is measured on, as jquesnelle/yarn's eval/perplexity.py cuts it.
 *
 * @module
 */

/** One forward pass over a document: tokens `begin` to `end` go in, after BOS, and the last `scored` of them count. */
export interface EvalWindow {
  /** Index of the first document token that goes in. */
  readonly begin: number;
  /** Index after the last one. */
  readonly end: number;
  /** How many tokens before `end` count: those that no window before has scored. */
  readonly scored: number;
}

/** How a document is cut. */
export interface WindowOptions {
  /** Tokens of a window, BOS included: at least 2. */
  readonly length: number;
  /** Document tokens from one window's begin to the next one's. */
  readonly stride: number;
  /** True to cut the document to one window, which makes exactly one pass of it. */
  readonly truncate: boolean;
  /** Whether BOS stands before every window. Without it nothing predicts a document's first token. */
  readonly hasBos: boolean;
}

/** Document tokens that a window has room for. */
export function documentTokensOf({ length, hasBos }: Pick<WindowOptions, "length" | "hasBos">): number {
  return hasBos ? length - 1 : length;
}

/**
 * Sliding windows: they begin every `stride` tokens, and each scores what the one before has not, so that all tokens but
 * those of the first window see at least `length - stride` tokens of context.
 *
 * @param nTokens Tokens of the document.
 * @returns The windows in order; none for a document with nothing to predict.
 * @throws {RangeError} If the stride is larger than the window, which would leave tokens out.
 */
export function slidingWindows(nTokens: number, options: WindowOptions): EvalWindow[] {
  const room = documentTokensOf(options);
  if (!(options.length >= 2)) {
    throw new RangeError(`Cannot cut windows of length ${options.length}: expected at least 2`);
  }
  // A window's first token is predicted by BOS or by the window before, never by nothing.
  const longest = options.length - 1;
  const { stride } = options;
  if (!options.truncate && !(stride >= 1 && stride <= longest)) {
    throw new RangeError(
      `Cannot cut windows of length ${options.length} with stride ${stride}: expected 1 to ${longest}`,
    );
  }
  const total = options.truncate ? Math.min(nTokens, room) : nTokens;
  const first = options.hasBos ? 0 : 1;
  const windows: EvalWindow[] = [];
  for (let begin = 0, scoredTo = first; scoredTo < total; begin += stride) {
    const end = Math.min(begin + room, total);
    windows.push({ begin, end, scored: end - scoredTo });
    scoredTo = end;
  }
  return windows;
}

/** A place to measure at: the last target of a window. */
export interface WindowEnd {
  /** Index of the document. */
  readonly document: number;
  /** Document tokens up to and with the last target. */
  readonly end: number;
}

/** Targets of a sampled window that count: the last ones. */
export const SAMPLED_TARGETS = 256;

/**
 * The window of `length` inputs, BOS included, whose last target is document token `end - 1`. BOS and `length - 1`
 * document tokens predict `length` targets, of which the last `scored` count.
 */
export function sampledWindow(end: number, length: number, scored: number, hasBos: boolean): EvalWindow {
  const inputs = hasBos ? length : length + 1;
  return { begin: end - inputs, end, scored: Math.min(scored, length) };
}
