import { assertEquals, assertThrows } from "@std/assert";
import { Conversation } from "../../src/chat/conversation.ts";

const texts = ({ messages }: Conversation) => messages.map(({ role, content }) => `${role[0]}:${content}`);

Deno.test("Conversation keeps what is said, and takes turns back whole", () => {
  const conversation = new Conversation("Be brief");
  conversation.ask("one?");
  conversation.answer("one.");
  conversation.ask("two?");
  conversation.answer("two.");
  assertEquals(texts(conversation), ["s:Be brief", "u:one?", "a:one.", "u:two?", "a:two."]);
  assertEquals(conversation.takeBack(), "two?");
  assertEquals(texts(conversation), ["s:Be brief", "u:one?", "a:one."]);
  assertEquals([conversation.takeBack(), conversation.takeBack()], ["one?", undefined]);
  assertEquals(texts(conversation), ["s:Be brief"]);
});

Deno.test("Conversation replaces its system message and clears the rest", () => {
  const conversation = new Conversation();
  conversation.ask("one?");
  conversation.system = "Be loud";
  conversation.system = "Be brief";
  assertEquals(texts(conversation), ["s:Be brief", "u:one?"]);
  conversation.clear();
  assertEquals([texts(conversation), conversation.system], [["s:Be brief"], "Be brief"]);
  conversation.system = undefined;
  assertEquals(texts(conversation), []);
  conversation.clear();
});

Deno.test("Conversation reads what it wrote, and refuses the rest without a change", () => {
  const conversation = new Conversation("x");
  conversation.ask('"quoted"\n\u{1F9F6}');
  const copy = new Conversation();
  copy.read(conversation.toJson());
  assertEquals(copy.messages, conversation.messages);
  copy.read('[{"role":"user","content":"bare"}]');
  assertEquals(texts(copy), ["u:bare"]);
  assertThrows(() => copy.read("{"), SyntaxError);
  for (const json of ["null", "3", "{}", '{"messages":3}', '[{"role":"user"}]', "[null]"]) {
    assertThrows(() => copy.read(json), TypeError);
  }
  assertEquals(texts(copy), ["u:bare"]);
});
