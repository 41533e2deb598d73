import { assertEquals, assertRejects } from "@std/assert";
import { renderChat } from "../../src/cli/chat_template.ts";

const messages = [{ role: "system", content: "Be brief." }, { role: "user", content: "Hi {{ 1 }}" }] as const;
const specialTokens = { bos_token: "<s>", eos_token: "</s>" };

Deno.test("renderChat() renders messages and opens the answer", async () => {
  const template =
    "{{ bos_token }}{% for message in messages %}<|{{ message.role }}|>{{ message.content }}{{ eos_token }}" +
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}";
  assertEquals(
    await renderChat({ template, messages, specialTokens }),
    "<s><|system|>Be brief.</s><|user|>Hi {{ 1 }}</s><|assistant|>",
  );
});

Deno.test("renderChat() passes on what a template raises", async () => {
  const template = "{{ raise_exception('No system role here') }}";
  await assertRejects(() => renderChat({ template, messages, specialTokens }), Error, "No system role here");
});

Deno.test("renderChat() ends a template that does not end", async () => {
  const template = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}";
  const started = performance.now();
  await assertRejects(
    () => renderChat({ template, messages, specialTokens }, { timeoutMs: 300 }),
    Error,
    "within 300 ms",
  );
  assertEquals(performance.now() - started < 3000, true);
});

Deno.test("renderChat() refuses more text than is allowed", async () => {
  const template = "{% for a in range(1000) %}xxxxxxxxxx{% endfor %}";
  await assertRejects(
    () => renderChat({ template, messages, specialTokens }, { maxLength: 5000 }),
    Error,
    "makes 10000 characters, at most 5000 are allowed",
  );
});
