import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CapacityError, type ChatMessage, FormatError, loadModel, type Model } from "../../mod.ts";
import { chatFolder } from "../chat/chat_folder.ts";

const say = (role: string, content: string): ChatMessage => ({ role, content });
const FIRST = say("user", "The man was riding just below the summit");

async function withChatModel(test: (model: Model) => Promise<void>, template?: string): Promise<void> {
  await using folder = await chatFolder(template === undefined ? {} : { template });
  using model = await loadModel(folder.path, { contextLength: 128 });
  await test(model);
}

Deno.test("chat() answers the rendered conversation, as generate() continues it", () =>
  withChatModel(async (model) => {
    const { tokens } = await model.renderChat([FIRST]);
    const expected = await model.generate(tokens, { maxTokens: 8 }).result;
    let streamed = "";
    const answer = model.chat([FIRST], { maxTokens: 8 });
    for await (const { text } of answer) streamed += text;
    const { text, usage } = await answer.result;
    assertEquals([streamed, text], [expected.text, expected.text]);
    assertEquals(usage, expected.usage);
  }));

Deno.test("chat() in a session feeds only the new turn, and answers as without one", () =>
  withChatModel(async (model) => {
    using session = model.createSession();
    const history = [FIRST];
    const first = await model.chat(history, { maxTokens: 6, session }).result;
    history.push(say("assistant", first.text), say("user", "It was a dark night"));
    const held = session.length;
    const second = model.chat(history, { maxTokens: 6, session });
    const { text, timings, usage } = await second.result;
    const fed = Math.round(timings.prefillTokensPerSecond! * timings.prefillMs / 1000);
    assert(fed <= usage.promptTokens - held + 2, `Expected some ${usage.promptTokens - held} tokens fed, got ${fed}`);
    assertEquals(text, (await model.chat(history, { maxTokens: 6 }).result).text);
    // An edited last turn goes back to what is common.
    const edited = [...history.slice(0, 2), say("user", "The sea")];
    assertEquals(
      (await model.chat(edited, { maxTokens: 6, session }).result).text,
      (await model.chat(edited, { maxTokens: 6 }).result).text,
    );
  }));

Deno.test("chat() drops old turns where it is asked to, and else refuses what does not fit", () =>
  withChatModel(async (model) => {
    const long = Array.from({ length: 6 }, (_, i) => [
      say("user", `${FIRST.content} ${i} `.repeat(2)),
      say("assistant", "and so on"),
    ]).flat();
    const messages = [...long, FIRST];
    await assertRejects(() => model.chat(messages, { maxTokens: 4 }).result, CapacityError, "Cannot hold");
    const { droppedTurns } = await model.renderChat(messages, { maxTokens: 4, dropOldTurns: true });
    assert(droppedTurns > 0 && droppedTurns < 6);
    const kept = messages.slice(2 * droppedTurns);
    assertEquals(
      (await model.chat(messages, { maxTokens: 4, dropOldTurns: true }).result).text,
      (await model.chat(kept, { maxTokens: 4 }).result).text,
    );
  }));

Deno.test("chat() takes chat_template.jinja before the tokenizer's template", async () => {
  await using folder = await chatFolder({ template: "{{ raise_exception('the older one') }}" });
  await Deno.writeTextFile(`${folder.path}/chat_template.jinja`, "{{ messages[0].content }}");
  using model = await loadModel(folder.path, { contextLength: 64 });
  assertEquals(model.chatTemplate, "{{ messages[0].content }}");
  const { tokens } = await model.renderChat([FIRST]);
  assertEquals(Array.from(tokens), Array.from(model.tokenizer.encode(FIRST.content, { addSpecialTokens: false })));
});

Deno.test("chat() says what is wrong with messages, template, session and options", () =>
  withChatModel(async (model) => {
    const error = await assertRejects(() => model.chat([FIRST]).result, FormatError, "roles must alternate");
    assertEquals(error.code, "Template");
    // Which it refuses while a session is left.
    model.scaleRope();
    assertThrows(() => model.chat([]), RangeError, "without a message");
    assertThrows(() => model.chat([FIRST], { temperature: -1 }), RangeError, "temperature");
    const session = model.createSession();
    session.dispose();
    assertThrows(() => model.chat([FIRST], { session }), TypeError, "Cannot chat in this session");
  }, "{{ raise_exception('roles must alternate') }}"));

Deno.test("chat() with a base model says that it has no template", async () => {
  using model = await loadModel(new URL("../testdata/tiny/gqa_tied", import.meta.url).pathname);
  assertEquals(model.chatTemplate, undefined);
  const error = assertThrows(() => model.chat([FIRST]), FormatError, "no chat template");
  assertEquals(error.code, "NoChatTemplate");
  await assertRejects(() => model.renderChat([FIRST]), FormatError, "no chat template");
});

Deno.test("Session.replace() keeps the common beginning, and everything where it fails", async () => {
  using model = await loadModel(new URL("../testdata/tiny/gqa_tied", import.meta.url).pathname);
  using session = model.createSession();
  session.replace([1, 2, 3, 4]);
  await session.generate({ maxTokens: 1 }).result;
  session.replace([1, 2, 9]);
  const { tokens } = await session.generate({ maxTokens: 5 }).result;
  assertEquals(tokens, (await model.generate([1, 2, 9], { maxTokens: 5 }).result).tokens);
  const before = [...session.tokens];
  assertThrows(() => session.replace([1, 2, 1e9]), RangeError, "not in the vocabulary");
  assertThrows(() => session.replace(Array(model.contextLength + 1).fill(1)), CapacityError);
  assertThrows(() => session.replace([]), RangeError, "empty prompt");
  assertEquals([...session.tokens], before);
});
