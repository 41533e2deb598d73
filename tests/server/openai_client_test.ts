import { assert, assertEquals, assertRejects } from "@std/assert";
import OpenAI from "../openai.ts";
import { freeSharedModel, MODEL, serveModel } from "./served_model.ts";

const PROMPT = "The man was riding just below the summit";
const messages = [{ role: "user", content: PROMPT }] as const;
const greedy = { model: MODEL, temperature: 0 } as const;

Deno.test.afterAll(freeSharedModel);

Deno.test("the openai client lists models and finds one by its id", async () => {
  await using served = await serveModel();
  const list = await Array.fromAsync(await served.client.models.list());
  assertEquals(list.map(({ id, object }) => [id, object]), [[MODEL, "model"]]);
  assertEquals((await served.client.models.retrieve(MODEL)).id, MODEL);
  await assertRejects(() => served.client.models.retrieve("other"), OpenAI.NotFoundError, "does not exist");
});

Deno.test("the openai client completes a text as generate() does, whole and streamed, with its usage", async () => {
  await using served = await serveModel();
  const expected = await served.model.generate(PROMPT, { maxTokens: 12 }).result;
  const whole = await served.client.completions.create({ ...greedy, prompt: PROMPT, max_tokens: 12 });
  assertEquals(whole.object, "text_completion");
  assertEquals(whole.choices.map(({ text, finish_reason }) => [text, finish_reason]), [[expected.text, "length"]]);
  const { promptTokens, completionTokens } = expected.usage;
  assertEquals(
    [whole.usage?.prompt_tokens, whole.usage?.completion_tokens, whole.usage?.total_tokens],
    [promptTokens, completionTokens, promptTokens + completionTokens],
  );
  const stream = await served.client.completions.create({
    ...greedy,
    prompt: Array.from(served.model.tokenizer.encode(PROMPT)),
    max_tokens: 12,
    stream: true,
    stream_options: { include_usage: true },
  });
  const chunks = await Array.fromAsync(stream);
  assertEquals(chunks.map(({ choices }) => choices[0]?.text ?? "").join(""), expected.text);
  assertEquals(chunks.at(-2)?.choices[0]?.finish_reason, "length");
  assertEquals([chunks.at(-1)?.choices, chunks.at(-1)?.usage?.completion_tokens], [[], completionTokens]);
});

Deno.test("the openai client chats as chat() does, whole and streamed, and a second turn finds its prefix cached", async () => {
  await using served = await serveModel();
  const expected = await served.model.chat(messages, { maxTokens: 10 }).result;
  const whole = await served.client.chat.completions.create({ ...greedy, messages: [...messages], max_tokens: 10 });
  const { message, finish_reason, logprobs } = whole.choices[0]!;
  assertEquals([message.role, message.content, finish_reason, logprobs], [
    "assistant",
    expected.text,
    "length",
    null,
  ]);
  const next = [...messages, message, { role: "user", content: "And then?" }] as const;
  const stream = await served.client.chat.completions.create({
    ...greedy,
    messages: next.map(({ role, content }) => ({ role, content: content ?? "" })),
    max_completion_tokens: 8,
    stream: true,
    stream_options: { include_usage: true },
  });
  const chunks = await Array.fromAsync(stream);
  assertEquals(chunks[0]!.choices[0]!.delta.role, "assistant");
  const text = chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join("");
  const history = next.map(({ role, content }) => ({ role, content: content ?? "" }));
  assertEquals(text, (await served.model.chat(history, { maxTokens: 8 }).result).text);
  const { usage } = chunks.at(-1)!;
  assert(usage!.prompt_tokens_details!.cached_tokens! >= expected.usage.promptTokens, JSON.stringify(usage));
});

Deno.test("n choices differ by their seeds, come from one prefill, and repeat", async () => {
  await using served = await serveModel({ maxRunning: 2 });
  const ask = async (stream: boolean) => {
    const body = { model: MODEL, messages: [...messages], max_tokens: 8, n: 3, seed: 5 };
    if (!stream) {
      const { choices, usage } = await served.client.chat.completions.create(body);
      assertEquals(usage?.completion_tokens, 24);
      return choices.map(({ index, message }) => [index, message.content]);
    }
    const texts = ["", "", ""];
    for await (const { choices: [choice] } of await served.client.chat.completions.create({ ...body, stream })) {
      texts[choice!.index] += choice!.delta.content ?? "";
    }
    return texts.map((text, index) => [index, text]);
  };
  const choices = await ask(false);
  assertEquals(new Set(choices.map(([, text]) => text)).size, 3);
  assertEquals(await ask(true), choices);
  const first = await served.client.chat.completions.create({
    model: MODEL,
    messages: [...messages],
    max_tokens: 8,
    seed: 6,
  });
  assertEquals(first.choices[0]!.message.content, choices[1]![1]);
});

Deno.test("stop strings, biases and penalties reach the model", async () => {
  await using served = await serveModel();
  const { text } = await served.model.generate(PROMPT, { maxTokens: 30 }).result;
  const stop = text.slice(10, 14);
  const { choices } = await served.client.completions.create({ ...greedy, prompt: PROMPT, max_tokens: 30, stop });
  assertEquals([choices[0]!.text, choices[0]!.finish_reason], [text.slice(0, text.indexOf(stop)), "stop"]);
  const id = served.model.tokenizer.encode(" the", { addSpecialTokens: false })[0]!;
  const biased = await served.client.completions.create({
    ...greedy,
    prompt: PROMPT,
    max_tokens: 3,
    logit_bias: { [id]: 100 },
  });
  assertEquals(biased.choices[0]!.text, served.model.tokenizer.decode([id, id, id]));
  const options = { maxTokens: 20, presencePenalty: 1.5, frequencyPenalty: 1 };
  const expected = await served.model.generate(PROMPT, options).result;
  const penalized = await served.client.completions.create({
    ...greedy,
    prompt: PROMPT,
    max_tokens: 20,
    presence_penalty: 1.5,
    frequency_penalty: 1,
  });
  assertEquals(penalized.choices[0]!.text, expected.text);
});

Deno.test("log-probabilities come in both of the API's shapes, streamed too", async () => {
  await using served = await serveModel();
  const expected = await served.model.chat(messages, { maxTokens: 5, topLogprobs: 2 }).result;
  const body = { ...greedy, messages: [...messages], max_tokens: 5, logprobs: true, top_logprobs: 2 };
  const whole = await served.client.chat.completions.create(body);
  const { content } = whole.choices[0]!.logprobs!;
  assertEquals(content!.map(({ token }) => token).join(""), expected.text);
  // What is cached was computed by kernels for more rows, so that the last bits differ.
  const assertNear = (actual: readonly (number | null)[], wanted: readonly number[]) =>
    assertEquals(actual.map((value, i) => Math.abs(value! - wanted[i]!) < 1e-3), wanted.map(() => true));
  assertNear(content!.map(({ logprob }) => logprob), expected.logprobs!.map(({ logprob }) => logprob));
  for (const { token, bytes, top_logprobs: top } of content!) {
    assertEquals([top.length, top[0]!.token], [2, token]);
    assertEquals(new TextDecoder().decode(Uint8Array.from(bytes!)), token);
  }
  const streamed = await Array.fromAsync(await served.client.chat.completions.create({ ...body, stream: true }));
  const told = streamed.flatMap(({ choices }) => choices[0]?.logprobs?.content ?? []);
  assertEquals(told.map(({ token }) => token), content!.map(({ token }) => token));
  assertNear(told.map(({ logprob }) => logprob), content!.map(({ logprob }) => logprob));

  const completion = await served.client.completions.create({
    ...greedy,
    prompt: PROMPT,
    max_tokens: 4,
    logprobs: 0,
    echo: true,
  });
  const { text, logprobs } = completion.choices[0]!;
  assert(text.startsWith(PROMPT) && text.length > PROMPT.length);
  const ids = served.model.tokenizer.encode(PROMPT);
  const scored = await served.model.score(ids);
  assertEquals(logprobs!.token_logprobs![0], null as unknown as number);
  assertNear(logprobs!.token_logprobs!.slice(1, ids.length), [...scored.logprobs]);
  assertEquals(logprobs!.tokens!.length, ids.length + 4);
  const echoed = await served.client.completions.create({ ...greedy, prompt: PROMPT, max_tokens: 0, echo: true });
  assertEquals(echoed.choices[0]!.text, PROMPT);
});

Deno.test("several prompts are completed in order", async () => {
  await using served = await serveModel();
  const prompts = [PROMPT, "It was a dark night", "The sea"];
  const { choices } = await served.client.completions.create({ ...greedy, prompt: prompts, max_tokens: 5 });
  assertEquals(
    choices.map(({ text }) => text),
    await Promise.all(
      prompts.map(async (prompt) => (await served.model.generate(prompt, { maxTokens: 5 }).result).text),
    ),
  );
});

Deno.test("the openai client gets the errors that it knows", async () => {
  await using served = await serveModel({ apiKeys: ["sk-right"] });
  const create = (fields: object, client: OpenAI = served.client) =>
    client.chat.completions.create({ ...greedy, messages: [...messages], max_tokens: 1, ...fields } as never);
  await assertRejects(() => create({ model: "other" }), OpenAI.NotFoundError, 'The model "other" does not exist');
  const long = [{ role: "user", content: "word ".repeat(600) }];
  const tooLong = await assertRejects(() => create({ messages: long }), OpenAI.BadRequestError, "512 tokens");
  assertEquals([tooLong.code, tooLong.param, tooLong.type], [
    "context_length_exceeded",
    "messages",
    "invalid_request_error",
  ]);
  const format = await assertRejects(
    () => create({ response_format: { type: "json_schema", json_schema: { name: "x", schema: { type: "strin" } } } }),
    OpenAI.BadRequestError,
    "Cannot use the JSON Schema: ",
  );
  assertEquals(format.param, "response_format");
  const strange = new OpenAI({ baseURL: `${served.url}/v1`, apiKey: "sk-wrong", maxRetries: 0 });
  const wrong = await assertRejects(() => create({}, strange), OpenAI.AuthenticationError, "API key is wrong");
  assertEquals(wrong.code, "invalid_api_key");
  assert(served.log.length > 0);
  for (const line of served.log) {
    assert(!line.includes(PROMPT) && !line.includes("word") && !line.includes("sk-"), line);
  }
});

Deno.test("an answer ends with the context, and the finish reason says so", async () => {
  await using served = await serveModel();
  const ids = Array.from(served.model.tokenizer.encode(PROMPT.repeat(100))).slice(0, 508);
  const { choices, usage } = await served.client.completions.create({ ...greedy, prompt: ids, max_tokens: 100 });
  assertEquals([choices[0]!.finish_reason, usage?.completion_tokens], ["length", 4]);
});

Deno.test("a tool call in the answer arrives as one, and a template is given the tools", async () => {
  await using served = await serveModel();
  const tools = [{ type: "function", function: { name: "look", parameters: { type: "object" } } }] as const;
  const body = { ...greedy, messages: [...messages], max_tokens: 6, tools: [...tools] };
  // The little model calls no tools; its words must come through all the same.
  const { choices } = await served.client.chat.completions.create(body);
  const plain = await served.model.chat(messages, { maxTokens: 6 }).result;
  assertEquals([choices[0]!.message.content, choices[0]!.message.tool_calls], [plain.text, undefined]);
});
