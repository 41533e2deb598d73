/**
 * The clients of a soak: those that behave, those that leave, and those that do wrong.
 *
 * @module
 */
import type { Pcg32 } from "../../src/eval/pcg32.ts";
import { eventsOf, firstFlip, readStreamed, type Streamed } from "./streamed.ts";

/** Difference of two log-probabilities below which a tie may fall either way. */
const MARGIN = 0.02;

/** What a client may meet with beside the answer that it wants: too many wait. */
const BUSY = "503";

/** A stretch of time, by `performance.now`. */
export interface Span {
  /** Its beginning. */
  readonly from: number;
  /** Its end. */
  readonly to: number;
}

/** What the clients know of the server, and what they note. */
export interface Soak {
  /** Where it listens. */
  readonly url: string;
  /** The right key. */
  readonly key: string;
  /** The model's id. */
  readonly model: string;
  /** A long text. */
  readonly text: string;
  /** What chance decides. */
  readonly random: Pcg32;
  /** From requests to their first tokens. */
  firstTokens: Span[];
  /** From one event of a stream to the next. */
  gaps: Span[];
  /** Streams of each prompt that were answered alone, to compare with. */
  readonly alone: Map<string, Streamed>;
  /** What streams gave beside what they give alone. */
  compared: { same: number; ties: number; wrong: number };
  /** Tokens that clients have received. */
  tokens: number;
}

/** A client: its weight in the mix, what may come of it, and what it does. Gives an HTTP status or a word. */
export interface Client {
  /** How often it comes, beside the others' weights. */
  readonly weight: number;
  /** All that may come of it. */
  readonly expected: readonly string[];
  /** Asks once. */
  readonly ask: (soak: Soak) => Promise<string>;
}

function post(soak: Soak, path: string, body: unknown, init: RequestInit = {}): Promise<Response> {
  return fetch(soak.url + path, {
    method: "POST",
    headers: { "content-type": "application/json", "authorization": `Bearer ${soak.key}` },
    body: typeof body === "object" ? JSON.stringify({ model: soak.model, ...body }) : body as string,
    ...init,
  });
}

/** Words from somewhere in the text. */
function words(soak: Soak, nCharacters: number): string {
  const at = soak.random.integer(0, soak.text.length - nCharacters);
  return soak.text.slice(at, at + nCharacters);
}

const chatBody = (soak: Soak, fields: object = {}) => ({
  messages: [{ role: "system", content: "Be brief." }, { role: "user", content: words(soak, 80) }],
  max_tokens: soak.random.integer(5, 40),
  ...fields,
});

const completionBody = (soak: Soak, fields: object = {}) => ({
  prompt: words(soak, 100),
  max_tokens: soak.random.integer(5, 40),
  ...fields,
});

/** An answer in one piece; `lost` where it is not one. */
async function whole(soak: Soak, asked: Promise<Response>, nChoices: number = 1): Promise<string> {
  const response = await asked;
  const answer = await response.json();
  if (response.status !== 200) return typeof answer.error?.message === "string" ? String(response.status) : "lost";
  soak.tokens += answer.usage.completion_tokens;
  const isWhole = answer.choices.length === nChoices &&
    answer.choices.every(({ finish_reason: reason }: { finish_reason: unknown }) => typeof reason === "string");
  return isWhole ? "200" : "lost";
}

/** Reads a chat's stream, with the times of its events. */
async function chatStream(soak: Soak): Promise<string> {
  const started = performance.now();
  const response = await post(soak, "/v1/chat/completions", chatBody(soak, { stream: true }));
  if (response.status !== 200) return await whole(soak, Promise.resolve(response));
  let latest: number | undefined;
  let isWhole = false;
  for await (const data of eventsOf(response)) {
    const now = performance.now();
    if (data === "[DONE]") isWhole = true;
    else if (JSON.parse(data).error !== undefined) return "lost";
    else {
      if (latest === undefined) soak.firstTokens.push({ from: started, to: now });
      else soak.gaps.push({ from: latest, to: now });
      latest = now;
      soak.tokens++;
    }
  }
  return isWhole ? "200" : "lost";
}

/** The prompts whose streams are compared with those that were answered alone. */
export function comparedPrompts(soak: Soak): string[] {
  return Array.from({ length: 4 }, (_, i) => soak.text.slice(1000 * i, 1000 * i + 60 + 100 * i));
}

/** Asks for the stream of a prompt that is compared. */
export async function greedyStream(soak: Soak, prompt: string): Promise<Streamed | Response> {
  const fields = { prompt, temperature: 0, max_tokens: 24, logprobs: 2, stream: true };
  const response = await post(soak, "/v1/completions", fields);
  return response.status === 200 ? await readStreamed(response) : response;
}

async function comparedStream(soak: Soak): Promise<string> {
  const prompts = comparedPrompts(soak);
  const prompt = prompts[soak.random.integer(0, prompts.length - 1)]!;
  const started = performance.now();
  const streamed = await greedyStream(soak, prompt);
  if (streamed instanceof Response) return await whole(soak, Promise.resolve(streamed));
  const { times, tokens, isWhole } = streamed;
  if (times.length > 0) soak.firstTokens.push({ from: started, to: times[0]! });
  for (const [i, time] of times.slice(1).entries()) soak.gaps.push({ from: times[i]!, to: time });
  soak.tokens += tokens.length;
  const flip = firstFlip(soak.alone.get(prompt)!, streamed);
  soak.compared[flip === undefined ? "same" : flip.margin < MARGIN ? "ties" : "wrong"]++;
  return isWhole ? "200" : "lost";
}

/** Leaves in the middle of the answer, where one has begun. */
async function leaveRunning(soak: Soak): Promise<string> {
  const leaving = new AbortController();
  const fields = { stream: true, max_tokens: 500, n: soak.random.integer(1, 2) };
  const response = await post(soak, "/v1/completions", completionBody(soak, fields), { signal: leaving.signal });
  if (response.status !== 200) return await whole(soak, Promise.resolve(response));
  let left = soak.random.integer(1, 6);
  try {
    for await (const _ of eventsOf(response)) if (--left === 0) leaving.abort();
  } catch {
    return "left";
  }
  return "200";
}

/** Leaves after a moment, answer or not: while it waits, while its prompt is fed, or later. */
async function leaveEarly(soak: Soak): Promise<string> {
  const signal = AbortSignal.timeout(soak.random.integer(1, 400));
  try {
    const response = await post(soak, "/v1/chat/completions", chatBody(soak, { max_tokens: 500 }), { signal });
    return await whole(soak, Promise.resolve(response));
  } catch {
    return "left";
  }
}

/** Speaks on a connection of its own; `see` reads from it. Gives the status, or `cut` where none came. */
async function raw(
  { url }: Soak,
  pieces: readonly string[],
  see: (connection: Deno.Conn) => Promise<string> = readAll,
): Promise<string> {
  const { hostname, port } = new URL(url);
  using connection = await Deno.connect({ hostname, port: Number(port) });
  try {
    for (const piece of pieces) await connection.write(new TextEncoder().encode(piece));
    return /^HTTP\/1\.1 (\d{3})/.exec(await see(connection))?.[1] ?? "cut";
  } catch {
    return "cut";
  }
}

async function readAll(connection: Deno.Conn): Promise<string> {
  return await new Response(connection.readable).text();
}

function rawPost(soak: Soak, body: string, headers: string = ""): string {
  return `POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer ${soak.key}\r\n` +
    `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n${headers}\r\n${body}`;
}

/** Reads a few bytes at a time, and waits in between. */
function slowReader(soak: Soak): Promise<string> {
  const body = JSON.stringify({ model: soak.model, prompt: "The sea", max_tokens: 60, stream: true, logprobs: 5 });
  return raw(soak, [rawPost(soak, body)], async (connection) => {
    const buffer = new Uint8Array(512);
    let text = "";
    for (let count = await connection.read(buffer); count !== null; count = await connection.read(buffer)) {
      text += new TextDecoder().decode(buffer.subarray(0, count));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return text.includes("[DONE]") || !text.startsWith("HTTP/1.1 200") ? text : "";
  });
}

const formatOf = (schema: object) => ({ type: "json_schema", json_schema: { name: "answer", schema } });

const RECORD = {
  type: "object",
  properties: { kind: { enum: ["man", "wife", "sea"] }, age: { type: "integer", minimum: 0, maximum: 99 } },
  required: ["kind", "age"],
  additionalProperties: false,
};

/** Asks for an answer that is valid under a schema. */
async function held(soak: Soak): Promise<string> {
  const fields = { response_format: formatOf(RECORD), max_tokens: 100 };
  const response = await post(soak, "/v1/chat/completions", chatBody(soak, fields));
  if (response.status !== 200) return await whole(soak, Promise.resolve(response));
  const { choices: [{ message, finish_reason: reason }] } = await response.json();
  const { kind, age } = reason === "stop" ? JSON.parse(message.content) : {};
  return RECORD.properties.kind.enum.includes(kind) && age >= 0 && age <= 99 ? "200" : "lost";
}

/** Schemas that cannot be used; the second ends the worker that follows it. */
const UNUSABLE = [{ type: "string", format: "nonsense" }, { pattern: ["a" + "é".repeat(100)] }];

const BAD_BODIES: readonly (readonly [path: string, body: unknown])[] = [
  ["/v1/completions", { prompt: "x", temperature: "hot" }],
  ["/v1/completions", '{"model": "pg-nano", "prompt": "x", "temperature": 1e309}'],
  ["/v1/completions", '{"temperature": NaN}'],
  ["/v1/completions", "[".repeat(50_000)],
  ["/v1/completions", { prompt: Array(3000).fill(5) }],
  ["/v1/completions", { prompt: "x", stop: Array(10_000).fill("y") }],
  ["/v1/completions", { prompt: "x", seed: 2 ** 53 }],
  ["/v1/completions", { prompt: "x", max_tokens: -1 }],
  ["/v1/chat/completions", { messages: [] }],
  ["/v1/chat/completions", { messages: "hi", unknown: 1 }],
  ["/v1/chat/completions", '{"messages": [{"role": "user", "content": "\\ud800"}]}'],
];

/** All clients, by name. */
export const CLIENTS: Readonly<Record<string, Client>> = {
  "chat": {
    weight: 3,
    expected: ["200", BUSY],
    ask: (soak) => whole(soak, post(soak, "/v1/chat/completions", chatBody(soak))),
  },
  "chat, streamed": { weight: 6, expected: ["200", BUSY], ask: chatStream },
  "chat, held to a schema": { weight: 2, expected: ["200", BUSY], ask: held },
  "completion, streamed and compared": { weight: 6, expected: ["200", BUSY], ask: comparedStream },
  "completion, n = 3, sampled": {
    weight: 2,
    expected: ["200", BUSY],
    ask: (soak) => {
      const fields = { n: 3, seed: soak.random.integer(0, 1000), top_p: 0.9, frequency_penalty: 0.5 };
      return whole(soak, post(soak, "/v1/completions", completionBody(soak, fields)), 3);
    },
  },
  "completion, echo and log-probabilities": {
    weight: 1,
    expected: ["200", BUSY],
    ask: (soak) => whole(soak, post(soak, "/v1/completions", completionBody(soak, { echo: true, logprobs: 0 }))),
  },
  "completion after a long prompt": {
    weight: 1,
    expected: ["200", BUSY],
    ask: (soak) => whole(soak, post(soak, "/v1/completions", { prompt: words(soak, 4000), max_tokens: 8 })),
  },
  "leaves its stream": { weight: 3, expected: ["left", "200", BUSY], ask: leaveRunning },
  "leaves early": { weight: 3, expected: ["left", "200", BUSY], ask: leaveEarly },
  "reads slowly": { weight: 1, expected: ["200", BUSY], ask: slowReader },
  "bad request": {
    weight: 3,
    expected: ["400"],
    ask: (soak) => {
      const [path, body] = BAD_BODIES[soak.random.integer(0, BAD_BODIES.length - 1)]!;
      return whole(soak, post(soak, path, body));
    },
  },
  "chat, held to what cannot be": {
    weight: 0.5,
    expected: ["400", BUSY],
    ask: (soak) => {
      const fields = { response_format: formatOf(UNUSABLE[soak.random.integer(0, UNUSABLE.length - 1)]!) };
      return whole(soak, post(soak, "/v1/chat/completions", chatBody(soak, fields)));
    },
  },
  "body of 9 MB": {
    weight: 0.2,
    // One that is cut off while it still writes may see no answer.
    expected: ["413", "cut"],
    ask: (soak) => raw(soak, [rawPost(soak, JSON.stringify({ prompt: "x".repeat(9_000_000) }))]),
  },
  "wrong key": {
    weight: 1,
    expected: ["401"],
    ask: (soak) => whole({ ...soak, key: "sk-wrong" }, post({ ...soak, key: "sk-wrong" }, "/v1/completions", {})),
  },
  "wrong host": {
    weight: 0.5,
    expected: ["403"],
    ask: (soak) => raw(soak, ["GET /v1/models HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"]),
  },
  "headers without end": {
    weight: 0.3,
    expected: ["cut", "408"],
    ask: (soak) => raw(soak, ["GET /health HTTP/1.1\r\nHost: localhost\r\n"]),
  },
  "no HTTP": { weight: 0.5, expected: ["cut", "400"], ask: (soak) => raw(soak, ["\x00\x01\x02 nothing\r\n\r\n"]) },
  "connects and goes": {
    weight: 0.5,
    expected: ["cut"],
    ask: (soak) => raw(soak, [rawPost(soak, "{").slice(0, 60)], () => Promise.resolve("")),
  },
  "metrics": {
    weight: 0.5,
    expected: ["200"],
    ask: async (soak) => {
      const response = await fetch(`${soak.url}/metrics`, { headers: { authorization: `Bearer ${soak.key}` } });
      await response.text();
      return String(response.status);
    },
  },
};
