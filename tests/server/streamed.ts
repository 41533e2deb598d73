/**
 * Streams of the server as a client reads them, and whether two of them say the same.
 *
 * @module
 */

/** What a stream of a completion with `logprobs: 2` gave. */
export interface Streamed {
  /** Its tokens' texts, with the likeliest two and their log-probabilities. */
  readonly tokens: readonly {
    readonly text: string;
    readonly top: readonly (readonly [text: string, logprob: number])[];
  }[];
  /** When each event arrived, by `performance.now`. */
  readonly times: readonly number[];
  /** Whether it came to its end. */
  readonly isWhole: boolean;
}

/** Data of a stream's events, as they arrive; the last one is `[DONE]`. */
export async function* eventsOf(response: Response): AsyncGenerator<string, void> {
  let rest = "";
  for await (const part of response.body!.pipeThrough(new TextDecoderStream())) {
    const events = (rest + part).split("\n\n");
    rest = events.pop()!;
    for (const event of events) if (event.startsWith("data: ")) yield event.slice("data: ".length);
  }
}

/**
 * Reads a stream of a completion.
 *
 * @param onToken Told the number of events with tokens so far.
 * @throws {Error} With what an event says of an error.
 */
export async function readStreamed(response: Response, onToken: (count: number) => void = () => {}): Promise<Streamed> {
  const tokens: { text: string; top: [string, number][] }[] = [];
  const times: number[] = [];
  let isWhole = false;
  for await (const data of eventsOf(response)) {
    if (data === "[DONE]") {
      isWhole = true;
      continue;
    }
    const { choices: [choice], error } = JSON.parse(data);
    if (error !== undefined) throw new Error(error.message);
    if (choice.logprobs === null) continue;
    onToken(times.push(performance.now()));
    for (const [i, text] of choice.logprobs.tokens.entries()) {
      tokens.push({ text, top: Object.entries(choice.logprobs.top_logprobs[i]) });
    }
  }
  return { tokens, times, isWhole };
}

/** The first token in which two streams of one prompt differ, with what its likeliest two were apart. */
export function firstFlip(a: Streamed, b: Streamed): { readonly at: number; readonly margin: number } | undefined {
  const at = a.tokens.findIndex(({ text }, i) => text !== b.tokens[i]?.text);
  if (at < 0) return undefined;
  const logprobs = a.tokens[at]!.top.map(([, logprob]) => logprob).sort((x, y) => y - x);
  return { at, margin: logprobs[0]! - (logprobs[1] ?? -Infinity) };
}
