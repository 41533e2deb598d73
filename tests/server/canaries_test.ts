import { assert, assertEquals } from "@std/assert";
import { chatFolder } from "../chat/chat_folder.ts";
import { startServed } from "./served_process.ts";

/** What must never be written down, in no spelling. */
const CANARY = "zanzibar";
const KEY = `sk-${CANARY}-key`;

const text = `Never tell anybody about ${CANARY}`;
const messages = [{ role: "system", content: text }, { role: "user", content: text }];
const broken = Uint8Array.of(...new TextEncoder().encode(`{"prompt": "${CANARY}`), 0xff, 0x22, 0x7d);
const schema = { type: "json_schema", json_schema: { name: CANARY, schema: { $ref: `#/${CANARY}` } } };
const tools = [{ type: "function", function: { name: CANARY, description: text, parameters: { title: text } } }];

/** Requests by what they are; a body that is an object is given the model's id. */
const REQUESTS: readonly (readonly [story: string, path: string, body?: unknown, headers?: Record<string, string>])[] =
  [
    ["a completion", "/v1/completions", { prompt: text, max_tokens: 3, user: CANARY, stop: [CANARY], echo: true }],
    ["its stream", "/v1/completions", { prompt: text, max_tokens: 3, stream: true, logprobs: 2 }],
    ["several", "/v1/completions", { prompt: [text, text], max_tokens: 2, n: 2 }],
    ["a chat", "/v1/chat/completions", { messages, max_tokens: 3, metadata: { [CANARY]: CANARY } }],
    ["its stream", "/v1/chat/completions", { messages, max_tokens: 3, stream: true, tools }],
    ["a template's variable", "/v1/chat/completions", { messages, max_tokens: 1, chat_template_kwargs: { x: CANARY } }],
    ["a schema that cannot be", "/v1/chat/completions", { messages, max_tokens: 1, response_format: schema }],
    ["too long a prompt", "/v1/completions", { prompt: text.repeat(200) }],
    ["far too long a prompt", "/v1/completions", { prompt: text.repeat(20_000) }],
    ["too long a body", "/v1/completions", { prompt: text.repeat(50_000) }],
    ["an unknown field", "/v1/completions", { prompt: "x", [CANARY]: 1 }],
    ["a field of another type", "/v1/completions", { prompt: { [CANARY]: text } }],
    ["another model", "/v1/completions", { model: CANARY, prompt: text }],
    ["no JSON", "/v1/completions", `{"prompt": ${CANARY}}`],
    ["no UTF-8", "/v1/completions", broken],
    ["another type", "/v1/completions", CANARY, { "content-type": `text/${CANARY}` }],
    ["a wrong key", "/v1/completions", { prompt: text }, { authorization: `Bearer ${CANARY}` }],
    ["a key of another kind", "/v1/completions", { prompt: text }, { authorization: `Basic ${CANARY}` }],
    ["another page", "/v1/completions", { prompt: text }, { origin: `https://${CANARY}.example` }],
    ["another path", `/v1/${CANARY}?key=${CANARY}`],
    ["a model's path", `/v1/models/${CANARY}`],
    ["another method", `/v1/chat/completions?${CANARY}`],
    ["other headers", "/v1/models", undefined, { "user-agent": CANARY, "x-request-id": CANARY, "cookie": CANARY }],
  ];

Deno.test("no word of a request, no answer and no key is in the log or the metrics, whatever the request", async () => {
  await using folder = await chatFolder();
  const limits = ["--context-length", "256", "--max-body", "1000000"];
  const served = await startServed([folder.path, "--api-key", KEY, ...limits]);
  const authorization = `Bearer ${KEY}`;
  const { data: [{ id: model }] } = await (await fetch(`${served.url}/v1/models`, { headers: { authorization } }))
    .json();
  const answers: string[] = [];
  for (const [story, path, body, headers = {}] of REQUESTS) {
    const isText = typeof body === "string" || body instanceof Uint8Array;
    const response = await fetch(served.url + path, {
      headers: { authorization, "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : {
        method: "POST",
        body: isText ? body as BodyInit : JSON.stringify({ model, ...body as object }),
      }),
    });
    const answer = await response.text();
    assert(response.status < 500, `${story}: ${response.status} ${answer}`);
    if (response.status === 200 && answer.includes("chat.completion")) answers.push(answer);
  }
  // One that leaves in the middle.
  const leaving = new AbortController();
  const response = await fetch(`${served.url}/v1/completions`, {
    method: "POST",
    headers: { authorization, "content-type": "application/json" },
    body: JSON.stringify({ model, prompt: text, max_tokens: 200, stream: true }),
    signal: leaving.signal,
  });
  await response.body!.getReader().read();
  leaving.abort();
  const metrics = await (await fetch(`${served.url}/metrics`, { headers: { authorization } })).text();
  assertEquals(await served.stop(), 0);
  const written = served.stdout() + served.log() + metrics;
  // What it says is about requests: each has its line.
  assert(written.split("\n").filter((line) => / (GET|POST) \S+ \d{3} \d+ ms/.test(line)).length > REQUESTS.length);
  for (const secret of [CANARY, "anybody", btoa(CANARY), KEY]) {
    assert(!written.toLowerCase().includes(secret.toLowerCase()), `${secret} is in:\n${written}`);
  }
  const { choices: [{ message: { content } }] } = JSON.parse(answers[0]!);
  assert(content.trim() !== "" && !written.includes(content), written);
});
