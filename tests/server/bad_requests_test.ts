import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { freeSharedModel, MODEL, serveModel } from "./served_model.ts";

Deno.test.afterAll(freeSharedModel);

const user = [{ role: "user", content: "hi" }];
const TOOL = { type: "function", function: { name: "look" } };
const formatOf = (schema: unknown) => ({ type: "json_schema", json_schema: { name: "answer", schema } });

/** Bodies of both kinds, by what is wrong with them: the body's text, the field that is named, the status. */
const CHAT: readonly (readonly [string, unknown, string | null, number?])[] = [
  ["an array", "[]", null],
  ["null", "null", null],
  ["no JSON", '{"model":', null],
  ["NaN", '{"temperature": NaN}', null],
  ["deep JSON", "[".repeat(100_000), null],
  ["deep JSON in a message", `{"messages": ${"[".repeat(99)}${"]".repeat(99)}}`, null],
  ["no model", { messages: user }, "model"],
  ["an unknown model", { model: "other" + "x".repeat(9999), messages: user }, "model", 404],
  ["a model that is a prototype's", { model: "__proto__", messages: user }, "model", 404],
  ["no messages", {}, "messages"],
  ["messages that are none", { messages: [] }, "messages"],
  ["messages of text", { messages: "hi" }, "messages"],
  ["10,001 messages", { messages: Array(10_001).fill(user[0]) }, "messages"],
  ["a message that is none", { messages: [null] }, "messages[0]"],
  ["an unknown role", { messages: [{ role: "wizard", content: "" }] }, "messages[0].role"],
  ["a message without text", { messages: [{ role: "user" }] }, "messages[0].content"],
  ["an image", { messages: [{ role: "user", content: [{ type: "image_url" }] }] }, "messages[0].content[0]"],
  ["half a character", '{"messages": [{"role": "user", "content": "\\ud800"}]}', "messages[0].content"],
  ["an unknown field", { messages: user, temprature: 1 }, "temprature"],
  ["a field of JavaScript's", '{"__proto__": 1}', "messages"],
  ["a temperature of 1e309", '{"temperature": 1e309}', "temperature"],
  ["a temperature of -1", { temperature: -1 }, "temperature"],
  ["a temperature of text", { temperature: "hot" }, "temperature"],
  ["a seed of 2^53", { seed: 2 ** 53 }, "seed"],
  ["a seed of 1.5", { seed: 1.5 }, "seed"],
  ["max_tokens of 0", { max_tokens: 0 }, "max_tokens"],
  ["max_tokens of -1", { max_tokens: -1 }, "max_tokens"],
  ["max_tokens of 2^53", { max_tokens: 2 ** 53 }, "max_tokens"],
  ["max_completion_tokens of 1e309", '{"max_completion_tokens": 1e309}', "max_completion_tokens"],
  ["n of 0", { n: 0 }, "n"],
  ["n of 1,000,000", { n: 1e6 }, "n"],
  ["top_p of 2", { top_p: 2 }, "top_p"],
  ["penalties of 3", { presence_penalty: 3 }, "presence_penalty"],
  ["a frequency_penalty of -3", { frequency_penalty: -3 }, "frequency_penalty"],
  ["10,000 stop strings", { stop: Array(10_000).fill("x") }, "stop"],
  ["an empty stop string", { stop: "" }, "stop"],
  ["a stop string that is a number", { stop: [1] }, "stop"],
  ["a long stop string", { stop: "x".repeat(1001) }, "stop"],
  ["a bias of text", { logit_bias: { 5: "x" } }, "logit_bias"],
  ["a bias of 101", { logit_bias: { 5: 101 } }, "logit_bias"],
  ["a bias of a word", { logit_bias: { the: 1 } }, "logit_bias"],
  ["a bias outside the vocabulary", { messages: user, logit_bias: { 999999: 1 } }, "logit_bias"],
  ["2,000 biases", { logit_bias: Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [i, 1])) }, "logit_bias"],
  ["top_logprobs alone", { messages: user, top_logprobs: 2 }, "top_logprobs"],
  ["top_logprobs of 21", { messages: user, logprobs: true, top_logprobs: 21 }, "top_logprobs"],
  ["stream of text", { stream: "yes" }, "stream"],
  ["stream_options without stream", { stream_options: { include_usage: true } }, "stream_options"],
  ["no schema", { messages: user, response_format: { type: "json_schema" } }, "response_format.json_schema"],
  ["another format", { messages: user, response_format: { type: "xml" } }, "response_format.type"],
  ["a schema of text", { messages: user, response_format: formatOf("{}") }, "response_format.json_schema.schema"],
  ["a schema that cannot be", { messages: user, response_format: formatOf({ type: "strin" }) }, "response_format"],
  ["a schema and tools", { messages: user, response_format: formatOf({}), tools: [TOOL] }, "response_format"],
  ["tools that are none", { messages: user, tools: {} }, "tools"],
  ["a tool without a name", { messages: user, tools: [{ type: "function", function: {} }] }, "tools[0].function.name"],
  ["a forced tool where there is none", { messages: user, tool_choice: "required" }, "tool_choice"],
  ["a tool_choice of a word", { messages: user, tools: [TOOL], tool_choice: "any" }, "tool_choice"],
  [
    "a tool_choice that is not there",
    { messages: user, tools: [TOOL], tool_choice: { type: "function", function: { name: "jump" } } },
    "tool_choice",
  ],
  [
    "a strict tool whose schema cannot be",
    {
      messages: user,
      tools: [{ type: "function", function: { ...TOOL.function, strict: true, parameters: { not: {} } } }],
    },
    "tools",
  ],
  ["functions", { messages: user, functions: [] }, "functions"],
  ["audio", { messages: user, modalities: ["audio"] }, "modalities"],
];

const COMPLETIONS: typeof CHAT = [
  ["no prompt", {}, "prompt"],
  ["an empty prompt", { prompt: "" }, "prompt"],
  ["empty prompts", { prompt: [] }, "prompt"],
  ["a prompt of an object", { prompt: {} }, "prompt"],
  ["ids of -1", { prompt: [-1] }, "prompt"],
  ["ids of 1.5", { prompt: [1.5] }, "prompt"],
  ["ids outside the vocabulary", { prompt: [2 ** 31] }, "prompt"],
  ["1,000 prompts", { prompt: Array(1000).fill("x") }, "n"],
  ["a prompt of more tokens than the context", { prompt: Array(600).fill(5) }, "prompt"],
  ["a prompt of more characters than any context", { prompt: "x".repeat(100_000) }, "prompt"],
  ["logprobs of 6", { prompt: "x", logprobs: 6 }, "logprobs"],
  ["best_of", { prompt: "x", best_of: 3 }, "best_of"],
  ["a suffix", { prompt: "x", suffix: "y" }, "suffix"],
  ["max_tokens of 0 without echo", { prompt: "x", max_tokens: 0 }, "max_tokens"],
];

Deno.test("a bad request gets a 4xx in the OpenAI API's shape that names the field, and the server lives on", async () => {
  await using served = await serveModel();
  const wrong: string[] = [];
  for (const [path, cases] of [["/v1/chat/completions", CHAT], ["/v1/completions", COMPLETIONS]] as const) {
    for (const [story, body, param, status = 400] of cases) {
      const isBare = typeof body !== "string" && story !== "no model";
      const response = await served.post(path, isBare ? { model: MODEL, ...body as object } : named(body));
      const { error } = await response.json();
      const isShaped = typeof error?.message === "string" && error.type === "invalid_request_error" && "code" in error;
      if (response.status !== status || error?.param !== param || !isShaped || error.message.length > 400) {
        wrong.push(`${story}: ${response.status} ${JSON.stringify(error).slice(0, 300)}`);
      }
    }
  }
  assertEquals(wrong, []);
  assertEquals((await served.ask("/health")).status, 200);
  const { choices } = await (await served.post("/v1/completions", { model: MODEL, prompt: "x", max_tokens: 1 })).json();
  assertEquals(choices.length, 1);
});

/** A text of an object with a model in front, so that only what is wrong in it is. */
function named(body: unknown): unknown {
  return typeof body === "string" && body.startsWith('{"') && body !== '{"model":'
    ? `{"model": "${MODEL}", ${body.slice(1)}`
    : body;
}

Deno.test("bodies that are too long, no UTF-8 or no JSON by their type are refused", async () => {
  await using served = await serveModel({ maxBodyBytes: 10_000 });
  const post = (body: BodyInit, type: string = "application/json") =>
    served.ask("/v1/completions", { method: "POST", headers: { "content-type": type }, body });
  const bad = Uint8Array.of(0x22, 0xff, 0xfe, 0x22);
  for (
    const [response, status, part] of [
      [await post(bad), 400, "not valid UTF-8"],
      [await post("{}", "text/plain"), 415, "application/json"],
      [await post("{}", "multipart/form-data"), 415, "application/json"],
      [await post(" ".repeat(10_001)), 413, "over 10000 bytes"],
    ] as const
  ) {
    assertEquals(response.status, status);
    assertStringIncludes((await response.json()).error.message, part);
  }
  const { connection, received } = await speak(served.server.port, [
    "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 200000000\r\n\r\n",
  ]);
  assertStringIncludes(received, " 413 ");
  connection.close();
  // One that does not say how long it is.
  const chunk = `1000\r\n${" ".repeat(4096)}\r\n`;
  const endless = await speak(served.server.port, [
    "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
    chunk.repeat(4),
  ]);
  assertStringIncludes(endless.received, " 413 ");
  endless.connection.close();
  assertEquals((await served.ask("/health")).status, 200);
});

Deno.test("wrong paths and methods are told so", async () => {
  await using served = await serveModel();
  for (const path of ["/v1/nothing", "/../etc/passwd", "/%00", "/v1/models/%ff", "/__proto__"]) {
    const response = await served.ask(path);
    assertEquals([response.status, (await response.json()).error.type], [404, "invalid_request_error"]);
  }
  const response = await served.ask("/v1/chat/completions");
  assertEquals([response.status, response.headers.get("allow")], [405, "POST"]);
  await response.body?.cancel();
});

Deno.test("what is no HTTP, has headers without end, or comes too slowly is cut off", async () => {
  await using served = await serveModel({ headersTimeoutMs: 400, requestTimeoutMs: 600 });
  for (
    const pieces of [
      ["\x00\x01\x02 nothing\r\n\r\n"],
      [`GET /health HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(20_000)}\r\n\r\n`],
      ["GET /health HTTP/1.1\r\nHost: localhost\r\n"],
      ["POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"],
      ["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    ]
  ) {
    const started = performance.now();
    const { connection, received } = await speak(served.server.port, pieces, true);
    assert(performance.now() - started < 4000, `${pieces[0]!.slice(0, 40)} was not cut off`);
    assert(!received.includes(" 200 "), received);
    connection.close();
  }
  assertEquals((await served.ask("/health")).status, 200);
});

/** Writes to a connection of its own, and reads until the end of an answer's headers, or of all. */
async function speak(port: number, pieces: readonly string[], toTheEnd: boolean = false) {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  for (const piece of pieces) await connection.write(new TextEncoder().encode(piece)).catch(() => {});
  const buffer = new Uint8Array(4096);
  let received = "";
  while (toTheEnd || !received.includes("\r\n\r\n")) {
    const count = await connection.read(buffer).catch(() => null);
    if (count === null) break;
    received += new TextDecoder().decode(buffer.subarray(0, count));
  }
  return { connection, received };
}
