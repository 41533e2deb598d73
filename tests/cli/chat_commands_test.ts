import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Conversation } from "../../src/chat/conversation.ts";
import { runChatCommand } from "../../src/cli/chat_commands.ts";
import { UsageError } from "../../src/cli/options.ts";

function talk(): Conversation {
  const conversation = new Conversation();
  conversation.ask("one?");
  conversation.answer("one.");
  return conversation;
}

const texts = ({ messages }: Conversation) => messages.map(({ content }) => content);

Deno.test("/edit and /retry ask for another answer to the last turn", async () => {
  const conversation = talk();
  assertEquals(await runChatCommand("/edit  two? ", conversation), { kind: "answer" });
  assertEquals(texts(conversation), ["two?"]);
  conversation.answer("two.");
  assertEquals(await runChatCommand("/retry", conversation), { kind: "answer" });
  assertEquals(texts(conversation), ["two?"]);
});

Deno.test("/system, /undo and /clear change the conversation", async () => {
  const conversation = talk();
  await runChatCommand("/system Be brief", conversation);
  await runChatCommand("/undo", conversation);
  assertEquals(texts(conversation), ["Be brief"]);
  conversation.ask("x");
  await runChatCommand("/clear", conversation);
  assertEquals(texts(conversation), ["Be brief"]);
  await runChatCommand("/system", conversation);
  assertEquals(texts(conversation), []);
});

Deno.test("/save writes a file that /load reads", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const conversation = talk();
    const path = `${folder}/with a space.json`;
    assertEquals(await runChatCommand(`/save ${path}`, conversation), { kind: "note", text: "Saved 2 messages" });
    const other = new Conversation("x");
    assertEquals(await runChatCommand(`/load ${path}`, other), { kind: "note", text: "Loaded 2 messages" });
    assertEquals(other.messages, conversation.messages);
    await Deno.writeTextFile(path, "{");
    await assertRejects(() => runChatCommand(`/load ${path}`, other), UsageError, "Cannot read /load");
    await assertRejects(() => runChatCommand(`/save ${folder}`, other), UsageError, "it is a directory");
    await assertRejects(() => runChatCommand(`/load ${folder}/none`, other), UsageError, "no such file");
    assertEquals([...Deno.readDirSync(folder)].length, 1);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("/help lists every command, /exit ends, and the rest is refused by name", async () => {
  const help = await runChatCommand("/help", new Conversation());
  for (const name of ["system", "edit", "retry", "undo", "clear", "save", "load", "exit"]) {
    assertStringIncludes((help as { text: string }).text, `/${name}`);
  }
  assertEquals(await runChatCommand("/exit", new Conversation()), { kind: "end" });
  for (
    const [line, message] of [
      ["/sytem x", "did you mean /system"],
      ["/", "Unknown command /"],
      ["/constructor", "Unknown command /constructor"],
      ["/edit", "Expected what you want to have said"],
      ["/edit x", "nothing has been said"],
      ["/retry", "nothing has been said"],
      ["/undo", "nothing has been said"],
      ["/save", "Expected a file after /save"],
    ] as const
  ) {
    await assertRejects(() => runChatCommand(line, new Conversation()), UsageError, message);
  }
});
