/**
 * The server under load: many streams at once beside one alone, by the tokens they get, their pace, and what a long
 * prompt beside them does to it.
 *
 * usage: deno task bench:serve MODEL [--streams 16 --tokens 24 --long-prompt 16000 --seconds 20]
 *
 * Throughput is all tokens by all the time from the first request to the last answer: prompts that are fed, streams that
 * join, and two log-probabilities a token, which the comparison needs, are part of it, alone as together. Half of the
 * streams run alone before all run together and half after, so that a machine whose speed drifts favours neither.
 *
 * Each stream must give the tokens that it gives alone. Where one differs, the two likeliest tokens must have been
 * nearly even: a pass of many sequences sums in another order, so that a tie may fall the other way.
 *
 * @module
 */
import { resolvePath } from "../src/cli/command.ts";
import { integer, readOptions, UsageError } from "../src/cli/options.ts";
import { loadModel } from "../mod.ts";
import { ApiServer } from "../src/server/server.ts";
import { firstFlip, readStreamed, type Streamed } from "../tests/server/streamed.ts";

/** Difference of two log-probabilities below which a tie may fall either way. */
const MARGIN = 0.02;

/** Tokens of each stream's prompt. */
const PROMPT_TOKENS = 16;

const { positionals, values } = readOptions(Deno.args, {
  "streams": integer("Streams at once, 16 unless given", { min: 2, max: 64 }),
  "tokens": integer("Tokens of each, 24 unless given", { min: 2, max: 10_000 }),
  "long-prompt": integer("Tokens of the prompt beside them, 16000 unless given", { min: 1000, max: 1_000_000 }),
  "seconds": integer("How long it is watched, 20 unless given", { min: 1, max: 3600 }),
});
const [source] = positionals;
if (source === undefined) throw new UsageError("Expected MODEL as argument 1");
const { streams: nStreams = 16, tokens: nTokens = 24, "long-prompt": longPrompt = 16_000, seconds = 20 } = values;

using model = await loadModel(resolvePath(source), { contextLength: longPrompt + 512 });
const server = await ApiServer.listen(new Map([["model", model]]), {
  hostname: "127.0.0.1",
  port: 0,
  apiKeys: [],
  allowedHosts: [],
  corsOrigins: [],
  maxRunning: nStreams + 1,
  maxQueue: 0,
  prefixCache: 0,
  maxBodyBytes: 8 << 20,
  writeTimeoutMs: 30_000,
  headersTimeoutMs: 30_000,
  requestTimeoutMs: 30_000,
  page: () => Promise.resolve(undefined),
  onLog: () => {},
});

const text = await Deno.readTextFile(new URL("../tests/testdata/pg19/keith_of_the_border.txt", import.meta.url));
const ids = Array.from(model.tokenizer.encode(text));
const promptOf = (first: number, length: number) => Array.from({ length }, (_, i) => ids[(first + i) % ids.length]!);
const prompts = Array.from({ length: nStreams }, (_, i) => promptOf(i * 97, PROMPT_TOKENS));

async function stream(
  prompt: readonly number[],
  maxTokens: number,
  { signal, onToken }: { signal?: AbortSignal; onToken?: (count: number) => void } = {},
): Promise<Streamed> {
  try {
    const response = await fetch(`http://127.0.0.1:${server.port}/v1/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model: "model",
        prompt,
        temperature: 0,
        max_tokens: maxTokens,
        logprobs: 2,
        stream: true,
      }),
      ...(signal === undefined ? {} : { signal }),
    });
    if (!response.ok) throw new Error(await response.text());
    return await readStreamed(response, onToken);
  } catch (error) {
    if (!signal?.aborted) throw error;
    return { tokens: [], times: [], isWhole: false };
  }
}

const total = nStreams * nTokens;
console.log(`${source}: ${nStreams} streams of ${nTokens} tokens after ${PROMPT_TOKENS}, on ${model.deviceName}`);
async function runAlone(some: readonly (readonly number[])[]): Promise<{ streams: Streamed[]; seconds: number }> {
  const started = performance.now();
  const streams: Streamed[] = [];
  for (const prompt of some) streams.push(await stream(prompt, nTokens));
  return { streams, seconds: (performance.now() - started) / 1000 };
}

const half = nStreams >> 1;
const before = await runAlone(prompts.slice(0, half));
const started = performance.now();
const together = await Promise.all(prompts.map((prompt) => stream(prompt, nTokens)));
const togetherSeconds = (performance.now() - started) / 1000;
const after = await runAlone(prompts.slice(half));
const alone = [...before.streams, ...after.streams];
const aloneSeconds = before.seconds + after.seconds;
console.log(`one after the other: ${(total / aloneSeconds).toFixed(1)} tok/s`);
console.log(
  `at once: ${(total / togetherSeconds).toFixed(1)} tok/s, ${
    (aloneSeconds / togetherSeconds).toFixed(2)
  } times as many`,
);
const flips = alone.map((each, i) => firstFlip(each, together[i]!)).filter((flip) => flip !== undefined);
const wrong = flips.filter(({ margin }) => margin >= MARGIN);
console.log(
  `${nStreams - flips.length} streams the same, ${flips.length} with a tie that fell the other way` +
    (flips.length === 0 ? "" : ` (margins ${flips.map(({ margin }) => margin.toFixed(4)).join(", ")})`),
);

const leaving = new AbortController();
const { signal } = leaving;
const starts = prompts.map(() => Promise.withResolvers<void>());
const arrivals: number[][] = prompts.map(() => []);
const running = prompts.map((prompt, i) =>
  stream(prompt, 100_000, {
    signal,
    onToken: (count) => {
      arrivals[i]!.push(performance.now());
      if (count === 2) starts[i]!.resolve();
    },
  })
);
await Promise.all(starts.map(({ promise }) => promise));
const longAt = performance.now();
const long = stream(promptOf(0, longPrompt), 1, { signal });
await Promise.race([long, new Promise((resolve) => setTimeout(resolve, 1000 * seconds))]);
const endedAt = performance.now();
leaving.abort();
const longDone = (await long).isWhole;
await Promise.all(running);
const gaps = arrivals.flatMap((times) => {
  const seen = [longAt, ...times.filter((time) => time >= longAt && time <= endedAt), endedAt];
  return seen.slice(1).map((time, i) => time - seen[i]!);
}).sort((a, b) => a - b);
console.log(
  `beside a prompt of ${longPrompt} tokens, for ${((endedAt - longAt) / 1000).toFixed(0)} s` +
    `${longDone ? ", which it took" : ""}: a stream waited ${
      gaps[gaps.length >> 1]!.toFixed(0)
    } ms between two tokens, ` +
    `and never over ${gaps.at(-1)!.toFixed(0)} ms`,
);
await server.close(1000);
if (wrong.length > 0) {
  throw new Error(`${wrong.length} streams differ by more than ${MARGIN} from what they give alone`);
}
