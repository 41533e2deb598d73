import { assert, assertEquals } from "@std/assert";
import { loadModel } from "../../mod.ts";
import { callGrammar, toolUse } from "../../src/server/answer_format.ts";
import { Fields } from "../../src/server/fields.ts";
import { chatFolder, PLAIN_TEMPLATE } from "../chat/chat_folder.ts";
import { violations } from "../grammar/ajv.ts";
import { freeSharedModel, MODEL, serveModel } from "./served_model.ts";

const messages = [{ role: "user", content: "The man was riding just below the summit" }] as const;
const body = { model: MODEL, messages: [...messages], temperature: 1, seed: 3 };
const schema = {
  type: "object",
  properties: {
    title: { type: "string", maxLength: 12 },
    pages: { type: "integer", minimum: 1, maximum: 900 },
    tags: { type: "array", items: { enum: ["sea", "war", "love"] }, maxItems: 3 },
  },
  required: ["title", "pages", "tags"],
  additionalProperties: false,
};
const format = { type: "json_schema", json_schema: { name: "book", strict: true, schema } } as const;
const look = {
  type: "function",
  function: {
    name: "look",
    strict: true,
    parameters: {
      type: "object",
      properties: { at: { enum: ["sea", "sky"] }, far: { $ref: "#/$defs/far" } },
      required: ["at", "far"],
      additionalProperties: false,
      $defs: { far: { type: "boolean" } },
    },
  },
} as const;
const wait = {
  type: "function",
  function: {
    name: "wait",
    parameters: {
      type: "object",
      properties: { seconds: { type: "integer", minimum: 0, maximum: 99 } },
      required: ["seconds"],
      additionalProperties: false,
      propertyNames: { minLength: 1 },
    },
  },
} as const;

Deno.test.afterAll(freeSharedModel);

Deno.test("the openai client parses answers that are held to a schema, whole, streamed and several at once", async () => {
  await using served = await serveModel();
  const parsed = await served.client.chat.completions.parse({ ...body, response_format: format });
  const { message, finish_reason } = parsed.choices[0]!;
  assertEquals([violations(schema, message.parsed), finish_reason], ["", "stop"]);
  const stream = await served.client.chat.completions.create({ ...body, response_format: format, stream: true });
  const chunks = await Array.fromAsync(stream);
  assertEquals(chunks.map(({ choices }) => choices[0]!.delta.content ?? "").join(""), message.content);
  const several = await served.client.chat.completions.create({ ...body, response_format: format, n: 3 });
  const texts = several.choices.map(({ message: { content } }) => content!);
  assertEquals(texts.map((text) => violations(schema, JSON.parse(text))), ["", "", ""]);
  assertEquals(new Set(texts).size, 3);
});

Deno.test("an answer as a JSON object begins as one, and one that is cut off says so", async () => {
  await using served = await serveModel();
  const { choices } = await served.client.chat.completions.create({
    ...body,
    response_format: { type: "json_object" },
    max_tokens: 12,
  });
  const { message, finish_reason } = choices[0]!;
  assert(message.content!.startsWith("{"), message.content!);
  if (finish_reason === "stop") assertEquals(typeof JSON.parse(message.content!), "object");
  else assertEquals(finish_reason, "length");
});

for (const form of ["Llama 3", "Hermes"] as const) {
  Deno.test(`the openai client gets the calls of tools that it asks for, in the form of ${form}`, async () => {
    await using folder = await chatFolder({ template: `{# <tool_call> #}${PLAIN_TEMPLATE}` });
    using own = form === "Hermes" ? await loadModel(folder.path, { contextLength: 512 }) : undefined;
    await using served = await serveModel({}, own);
    for (
      const [choice, names] of [
        ["required", ["look", "wait"]],
        [{ type: "function", function: { name: "wait" } }, ["wait"]],
      ] as const
    ) {
      const { choices } = await served.client.chat.completions.create({
        ...body,
        tools: [look, wait],
        tool_choice: choice,
      });
      const { message, finish_reason } = choices[0]!;
      const [call] = message.tool_calls ?? [];
      assert(call?.type === "function", JSON.stringify(message));
      const { name, arguments: text } = call.function;
      assert((names as readonly string[]).includes(name), name);
      const { parameters } = name === "look" ? look.function : wait.function;
      assertEquals(
        [violations(parameters, JSON.parse(text)), message.content, message.tool_calls!.length, finish_reason],
        ["", null, 1, "tool_calls"],
      );
    }
    // A strict tool leaves the model its words.
    const free = await served.client.chat.completions.create({
      ...body,
      temperature: 0,
      max_tokens: 8,
      tools: [look],
    });
    const plain = await served.client.chat.completions.create({ ...body, temperature: 0, max_tokens: 8 });
    assertEquals(free.choices[0]!.message.content, plain.choices[0]!.message.content);
  });
}

Deno.test("parallel_tool_calls holds an answer to one call where it is false, and only there", async () => {
  await using folder = await chatFolder({ template: PLAIN_TEMPLATE });
  using model = await loadModel(folder.path, { contextLength: 512 });
  const free = { type: "function", function: { name: "look" } };
  for (
    const [fields, isHeld] of [
      [{}, false],
      [{ parallel_tool_calls: true }, false],
      [{ parallel_tool_calls: null }, false],
      [{ parallel_tool_calls: false }, true],
      [{ parallel_tool_calls: true, tool_choice: "required" }, true],
    ] as const
  ) {
    const use = toolUse(new Fields({ tools: [free], ...fields }));
    assertEquals(callGrammar(use!, model) !== undefined, isHeld, JSON.stringify(fields));
  }
});
