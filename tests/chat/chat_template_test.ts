import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { FormatError } from "../../mod.ts";
import { templateOf } from "./template_source.ts";

const messages = [{ role: "system", content: "Be brief." }, { role: "user", content: "Hi {{ 1 }}" }];
const CHATML =
  "{{ bos_token }}{% for message in messages %}<|{{ message.role }}|>{{ message.content }}{{ eos_token }}" +
  "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}";

Deno.test("ChatTemplate renders messages and opens the answer", async () => {
  using template = templateOf(CHATML);
  const closed = "<s><|system|>Be brief.</s><|user|>Hi {{ 1 }}</s>";
  assertEquals(await template.render({ messages }), `${closed}<|assistant|>`);
  assertEquals(await template.render({ messages, addGenerationPrompt: false }), closed);
});

Deno.test("ChatTemplate gives a template its tools, calls and variables", async () => {
  using template = templateOf(
    "{% if tools is none %}none{% else %}{{ tools[0].function.name }}{% endif %}" +
      "{% for call in messages[0].tool_calls or [] %} {{ call.function.arguments | tojson }}{% endfor %}{{ mood }}",
  );
  assertEquals(await template.render({ messages, variables: { mood: " calm", messages: [] } }), "none calm");
  const call = { type: "function", function: { name: "add", arguments: { a: 1 } } } as const;
  const assistant = { role: "assistant", content: "", tool_calls: [call] };
  const tool = { type: "function", function: { name: "add", parameters: {} } } as const;
  assertEquals(await template.render({ messages: [assistant], tools: [tool] }), 'add {"a": 1}');
});

Deno.test("ChatTemplate passes on what a template raises, and goes on", async () => {
  using template = templateOf("{% if messages|length > 1 %}{{ raise_exception('No system role here') }}{% endif %}ok");
  const error = await assertRejects(() => template.render({ messages }), FormatError, "No system role here");
  assertEquals(error.code, "Template");
  assertEquals(await template.render({ messages: messages.slice(1) }), "ok");
});

Deno.test("ChatTemplate ends a template that does not end, and starts the next one afresh", async () => {
  using endless = templateOf(
    "{% if messages|length > 1 %}{% for a in range(9999) %}{% for b in range(9999) %}{% if a < 0 %}{% endif %}" +
      "{% endfor %}{% endfor %}{% endif %}ok",
    { timeoutMs: 400 },
  );
  const started = performance.now();
  await assertRejects(() => endless.render({ messages }), FormatError, "it takes over 400 ms");
  assert(performance.now() - started < 5000);
  using next = templateOf("ok");
  assertEquals(await next.render({ messages }), "ok");
});

for (
  const [story, source] of [
    [
      "doubles a text",
      "{% set ns = namespace(x='xxxxxxxx') %}{% for a in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    ],
    ["asks for a long range", "{{ range(2000000000) | length }}"],
    [
      "repeats a list",
      "{% set ns = namespace(x=[1]) %}{% for a in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    ],
  ] as const
) {
  Deno.test(`ChatTemplate refuses a template that ${story}`, async () => {
    using template = templateOf(source);
    await assertRejects(() => template.render({ messages }), FormatError, "too much on the way");
  });
}

Deno.test("ChatTemplate refuses more text than is allowed, and what is no template", async () => {
  using long = templateOf("{% for a in range(1000) %}xxxxxxxxxx{% endfor %}", { maxLength: 5000 });
  await assertRejects(() => long.render({ messages }), FormatError, "makes 10000 characters, at most 5000 are allowed");
  using broken = templateOf("{% for %}");
  await assertRejects(() => broken.render({ messages }), FormatError, "Cannot render the chat template");
  using loud = templateOf("{{ raise_exception('x' ~ messages[0].content) }}");
  const content = "y".repeat(1e5);
  const { message } = await assertRejects(() => loud.render({ messages: [{ role: "user", content }] }), FormatError);
  assert(message.length < 600);
});

Deno.test("ChatTemplate cannot be led out of the template", async () => {
  for (
    const source of [
      "{{ messages.constructor }}",
      "{{ messages.__proto__ }}",
      "{{ ''.constructor.constructor('return 1')() }}",
      "{{ range.constructor('return Deno')() }}",
    ]
  ) {
    using template = templateOf(source);
    const text = await template.render({ messages }).catch((error: Error) => error.message);
    assert(text === "" || text.includes("Cannot call something that is not a function"), text);
  }
});

Deno.test("ChatTemplate renders what is asked at once in order, and refuses after its disposal", async () => {
  const template = templateOf("{{ messages[0].content }}");
  const asked = ["a", "b", "c"].map((content) => template.render({ messages: [{ role: "user", content }] }));
  assertEquals(await Promise.all(asked), ["a", "b", "c"]);
  template.dispose();
  const { message } = await assertRejects(() => template.render({ messages }), TypeError);
  assertStringIncludes(message, "after its disposal");
});
