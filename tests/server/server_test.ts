import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { freeSharedModel, MODEL, type Served, serveModel } from "./served_model.ts";

Deno.test.afterAll(freeSharedModel);

const PROMPT = "The man was riding just below the summit";
const body = (fields: object = {}) => ({ model: MODEL, prompt: PROMPT, temperature: 0, ...fields });

/** Reads the metrics' value of a line that begins so. */
async function metric({ ask }: Served, start: string): Promise<number> {
  const text = await (await ask("/metrics")).text();
  return Number(text.split("\n").find((line) => line.startsWith(start))?.split(" ").at(-1) ?? 0);
}

/** Waits until something holds. */
async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 20_000; performance.now() < end;) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`Expected within 20 s: ${what}`);
}

/** A streaming request that has begun to answer. */
async function beginStream({ url }: Served, fields: object = {}) {
  const leaving = new AbortController();
  const response = await fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body({ stream: true, max_tokens: 400, ...fields })),
    signal: leaving.signal,
  });
  const reader = response.body!.getReader();
  await reader.read();
  return { leave: () => leaving.abort(), reader };
}

Deno.test("a client that leaves stops its work, running or waiting", async () => {
  await using served = await serveModel({ maxRunning: 1 });
  const running = await beginStream(served);
  const waiting = new AbortController();
  const queued = fetch(`${served.url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body({ max_tokens: 400 })),
    signal: waiting.signal,
  }).catch(() => "left");
  await until("one waits", async () => await metric(served, "skein_waiting") === 1);
  waiting.abort();
  assertEquals(await queued, "left");
  await until("none waits", async () => await metric(served, "skein_waiting") === 0);
  assertEquals(await metric(served, "skein_running"), 1);
  running.leave();
  await running.reader.cancel().catch(() => {});
  await until("none runs", async () => await metric(served, "skein_running") === 0);
  assertEquals(await metric(served, 'skein_requests_total{route="/v1/completions",status="499"}'), 2);
  assertEquals(await metric(served, 'skein_requests_total{route="/v1/completions",status="500"}'), 0);
  // What it had generated when it left was far from all.
  const { choices } = await (await served.post("/v1/completions", body({ max_tokens: 2 }))).json();
  assertEquals(choices[0].text, (await served.model.generate(PROMPT, { maxTokens: 2 }).result).text);
});

Deno.test("a request over the queue's length gets 503 and when to try again", async () => {
  await using served = await serveModel({ maxRunning: 1, maxQueue: 1 });
  const running = await beginStream(served);
  const second = served.post("/v1/completions", body({ max_tokens: 1 }));
  await until("one waits", async () => await metric(served, "skein_waiting") === 1);
  const third = await served.post("/v1/completions", body({ max_tokens: 1 }));
  assertEquals([third.status, third.headers.get("retry-after")], [503, "1"]);
  assertEquals((await third.json()).error.code, "queue_full");
  running.leave();
  await running.reader.cancel().catch(() => {});
  const answered = await second;
  assertEquals([answered.status, (await answered.json()).choices.length], [200, 1]);
});

Deno.test("close() refuses what is new, and lets what runs come to its end", async () => {
  const served = await serveModel({ maxRunning: 1 });
  const running = served.post("/v1/completions", body({ max_tokens: 40 }));
  await until("it runs", async () => await metric(served, "skein_running") === 1);
  const waiting = served.post("/v1/completions", body({ max_tokens: 1 }));
  await until("one waits", async () => await metric(served, "skein_waiting") === 1);
  const closed = served.server.close(20_000);
  for (const answer of [running, waiting]) {
    const response = await answer;
    assertEquals([response.status, (await response.json()).choices.length], [200, 1]);
  }
  await closed;
  const refused = await served.ask("/health").then(async (response) => {
    await response.body?.cancel();
    return "answered";
  }, () => "refused");
  assertEquals(refused, "refused");
});

Deno.test("close() ends what outlasts its grace, and says so to a stream", async () => {
  const served = await serveModel();
  const { reader } = await beginStream(served, { prompt: [5, 6], max_tokens: 500 });
  const closed = served.server.close(50);
  let rest = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    rest += new TextDecoder().decode(part.value);
  }
  await closed;
  assert(!rest.includes("[DONE]") || !rest.includes('"finish_reason":null'), "Expected the stream to be cut short");
});

Deno.test("keys, hosts and origins are checked before anything else, and /health alone is open", async () => {
  await using served = await serveModel({ apiKeys: ["sk-right"], corsOrigins: ["https://app.example"] });
  const key = { authorization: "Bearer sk-right" };
  for (const path of ["/", "/metrics", "/openapi.json", "/v1/models", "/v1/chat/completions", "/nothing"]) {
    const response = await served.ask(path);
    assertEquals([path, response.status, response.headers.get("www-authenticate")], [path, 401, "Bearer"]);
    assertEquals((await response.json()).error.type, "authentication_error");
  }
  assertEquals(await (await served.ask("/health")).json(), { status: "ok" });
  const models = await served.ask("/v1/models", { headers: key });
  assertEquals((await models.json()).data.length, 1);
  const preflight = await served.ask("/v1/models", {
    method: "OPTIONS",
    headers: { origin: "https://app.example", "access-control-request-method": "POST" },
  });
  assertEquals([preflight.status, preflight.headers.get("access-control-allow-origin")], [204, "https://app.example"]);
  for (const origin of ["https://evil.example", "null"]) {
    const response = await served.ask("/health", { headers: { origin } });
    assertEquals([response.status, response.headers.get("access-control-allow-origin")], [403, null]);
    await response.body?.cancel();
  }
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: served.server.port });
  const request = "GET /v1/models HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer sk-right\r\n\r\n";
  await connection.write(new TextEncoder().encode(request));
  const buffer = new Uint8Array(2000);
  const count = await connection.read(buffer);
  assertStringIncludes(new TextDecoder().decode(buffer.subarray(0, count!)), " 403 ");
  connection.close();
});

Deno.test("metrics and log count tokens and tell nothing that was said", async () => {
  await using served = await serveModel({ apiKeys: ["sk-right"] });
  const headers = { "authorization": "Bearer sk-right", "content-type": "application/json" };
  const init = { method: "POST", headers, body: JSON.stringify(body({ max_tokens: 3, user: "somebody" })) };
  const { usage } = await (await served.ask("/v1/completions", init)).json();
  const metrics = await (await served.ask("/metrics", { headers })).text();
  assertStringIncludes(metrics, `skein_prompt_tokens_total ${usage.prompt_tokens}`);
  assertStringIncludes(metrics, "skein_completion_tokens_total 3");
  assertStringIncludes(metrics, 'skein_requests_total{route="/v1/completions",status="200"} 1');
  for (const secret of [PROMPT, "riding", "sk-right", "somebody"]) {
    assert(!metrics.includes(secret) && !served.log.join("\n").includes(secret), secret);
  }
});
