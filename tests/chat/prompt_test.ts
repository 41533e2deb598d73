import { assertEquals, assertRejects } from "@std/assert";
import { turnsOf } from "../../src/chat/message.ts";
import { promptTokens } from "../../src/chat/prompt.ts";
import { CapacityError } from "../../mod.ts";
import { templateOf } from "./template_source.ts";

/** A token for each character of a message; roles cost nothing. */
const SOURCE = "{% for message in messages %}{{ message.content }}{% endfor %}";
const encode = (text: string) => Array.from(text, (char) => char.codePointAt(0)!);
const say = (role: string, content: string) => ({ role, content });
const HISTORY = [
  say("system", "sys!"),
  say("user", "one?"),
  say("assistant", "one."),
  say("user", "two?"),
  say("tool", "2222"),
  say("assistant", "two."),
  say("user", "three?"),
];

Deno.test("turnsOf() parts a conversation at its user messages", () => {
  const { head, turns } = turnsOf(HISTORY);
  assertEquals([head, ...turns].map((turn) => turn.length), [1, 2, 3, 1]);
  assertEquals(turnsOf([say("system", "x")]), { head: [say("system", "x")], turns: [] });
});

for (
  const [contextLength, maxTokens, dropped] of [
    [100, 70, 0],
    [34, 4, 0],
    [33, 4, 1],
    [26, 4, 1],
    [25, 4, 2],
    [14, 4, 2],
  ] as const
) {
  Deno.test(`a context of ${contextLength} drops ${dropped} turns, whole and oldest first`, async () => {
    using template = templateOf(SOURCE);
    const prompt = await promptTokens({ template, encode, contextLength }, HISTORY, { dropOldTurns: true }, maxTokens);
    const { head, turns } = turnsOf(HISTORY);
    const kept = [...head, ...turns.slice(dropped).flat()].map(({ content }) => content).join("");
    assertEquals([prompt.droppedTurns, String.fromCodePoint(...Array.from(prompt.tokens))], [dropped, kept]);
  });
}

Deno.test("a conversation whose last turn does not fit is refused, or taken whole where nothing may be dropped", async () => {
  using template = templateOf(SOURCE);
  const model = { template, encode, contextLength: 13 };
  const error = await assertRejects(
    () => promptTokens(model, HISTORY, { dropOldTurns: true }, 4),
    CapacityError,
    "Cannot fit the last turn",
  );
  assertEquals([error.requested, error.available, error.unit], [30, 9, "tokens"]);
  assertEquals((await promptTokens(model, HISTORY, {}, 4)).tokens.length, 30);
});

Deno.test("what is no conversation is refused", async () => {
  using template = templateOf(SOURCE);
  const model = { template, encode, contextLength: 100 };
  await assertRejects(() => promptTokens(model, [], {}, 4), RangeError, "without a message");
  for (const message of [null, "hi", { role: "user" }, { role: "user", content: null }, { role: 3, content: "" }]) {
    await assertRejects(() => promptTokens(model, [say("user", "x"), message as never], {}, 4), TypeError, "Message 1");
  }
});
