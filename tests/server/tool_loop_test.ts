import { assert, assertEquals } from "@std/assert";
import { loadModel } from "../../mod.ts";
import { scriptedFolder } from "./scripted_model.ts";
import { MODEL, serveModel } from "./served_model.ts";

/** Tools first; the last words say whether the assistant answers a tool or a user. */
const TEMPLATE = "{{ bos_token }}{% for tool in tools or [] %}{{ tool.function.name }} {% endfor %}" +
  "{% for message in messages %}{{ message.role }} {{ message.content }} {% endfor %}" +
  "{% if messages[-1].role == 'tool' %}[told]{% else %}[asked]{% endif %}";

const SCRIPT = {
  template: TEMPLATE,
  lines: [
    ["[asked]", "I add. ", "<tool_call>", '{"name": "add", "arguments": {"a": 1,', ' "b": 2}}', "</tool_call>"],
    ["[told]", "It is ", "3."],
  ],
};

const parameters = { type: "object", properties: { a: { type: "number" }, b: { type: "number" } } };
const add = { type: "function", function: { name: "add", description: "a + b", parameters } } as const;
const messages = [{ role: "user" as const, content: "How much is 1 + 2" }];

Deno.test("the openai client runs the tools that a model calls, and gets the answer to what they give", async () => {
  await using folder = await scriptedFolder(SCRIPT);
  using model = await loadModel(folder.path);
  await using served = await serveModel({}, model);
  const calls: unknown[] = [];
  const run = (stream: boolean) =>
    served.client.chat.completions.runTools({
      model: MODEL,
      messages,
      stream: stream as false,
      tools: [{
        type: "function",
        function: {
          ...add.function,
          parse: JSON.parse,
          function: ({ a, b }: { a: number; b: number }) => {
            calls.push([a, b]);
            return String(a + b);
          },
        },
      }],
    });
  for (const stream of [false, true]) {
    const runner = run(stream);
    assertEquals(await runner.finalContent(), "It is 3.");
    const told = runner.messages.map((message) => [message.role, message.content]);
    assertEquals(told, [
      ["user", messages[0]!.content],
      ["assistant", "I add. "],
      ["tool", "3"],
      ["assistant", "It is 3."],
    ]);
  }
  assertEquals(calls, [[1, 2], [1, 2]]);
});

Deno.test("a call comes with an id, in one piece of a stream, and its words are in no content", async () => {
  await using folder = await scriptedFolder(SCRIPT);
  using model = await loadModel(folder.path);
  await using served = await serveModel({}, model);
  const body = { model: MODEL, messages, tools: [add] };
  const whole = await served.client.chat.completions.create(body);
  const [{ message, finish_reason: reason }] = whole.choices as [typeof whole.choices[0]];
  assertEquals([message.content, reason], ["I add. ", "tool_calls"]);
  const call = message.tool_calls![0]!;
  assert(call.type === "function" && /^call[-_]\w+/.test(call.id), JSON.stringify(call));
  assertEquals([call.function.name, JSON.parse(call.function.arguments)], ["add", { a: 1, b: 2 }]);
  const chunks = await Array.fromAsync(await served.client.chat.completions.create({ ...body, stream: true }));
  const deltas = chunks.map(({ choices: [choice] }) => choice!.delta);
  assertEquals(deltas.map(({ content }) => content ?? "").join(""), "I add. ");
  assertEquals(deltas.flatMap(({ tool_calls: each = [] }) => each.map(({ function: inner }) => inner?.name)), ["add"]);
  assertEquals(chunks.at(-1)!.choices[0]!.finish_reason, "tool_calls");
  // Without tools the same words are a text.
  const plain = await served.client.chat.completions.create({ ...body, tool_choice: "none" });
  assertEquals([plain.choices[0]!.finish_reason, plain.choices[0]!.message.tool_calls], ["stop", undefined]);
  assert(plain.choices[0]!.message.content!.includes("<tool_call>"), JSON.stringify(plain));
});
