import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { lastLine, PG_NANO, skein } from "./skein_process.ts";

Deno.test("chat with a base model says so and continues the text, line after line", async () => {
  const { code, stdout, stderr } = await skein(["chat", PG_NANO, "--max-tokens", "4"], {
    stdin: "The sun went down\nand the moon\n",
  });
  assertEquals(code, 0);
  assertStringIncludes(stderr, "no chat template");
  assertEquals(stdout.split("\n").length >= 3, true);
  const first = await skein(["generate", PG_NANO, "--prompt", "The sun went down", "--max-tokens", "4"]);
  assert(stdout.startsWith(first.stdout), stdout);
});

Deno.test("chat follows the model's chat template and keeps the history", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (const file of ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"]) {
      await Deno.copyFile(`${PG_NANO}/${file}`, `${folder}/${file}`);
    }
    const config = JSON.parse(await Deno.readTextFile(`${PG_NANO}/tokenizer_config.json`));
    // A template that ends its prompt with the passkey question makes the history visible in the answer.
    config.chat_template = "{{ bos_token }}{% for message in messages %}{% if message.role != 'assistant' %}" +
      "{{ message.content }}\n{% endif %}{% endfor %}What is the pass key? The pass key is";
    await Deno.writeTextFile(`${folder}/tokenizer_config.json`, JSON.stringify(config));
    const { code, stdout, stderr } = await skein(["chat", folder, "--max-tokens", "6"], {
      stdin: "The pass key is 48213. Remember it. 48213 is the pass key.\nThe grass is green. The sky is blue.\n" +
        `/edit The grass is green.\n/save ${folder}/talk.json\n/exit\nnever read\n`,
    });
    assertEquals([code, stderr], [0, "skein: Saved 4 messages\n"]);
    const [first, second, third, ...rest] = stdout.split("\n");
    assertStringIncludes(first!, "48213");
    assertStringIncludes(second!, "48213");
    assertStringIncludes(third!, "48213");
    assertEquals(rest, [""]);
    const { messages } = JSON.parse(await Deno.readTextFile(`${folder}/talk.json`));
    assertEquals(messages[2], { role: "user", content: "The grass is green." });
    assertEquals(messages[3].content, third);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("chat of a script names a command that it cannot do, goes on, and fails at the end", async () => {
  const { code, stdout, stderr } = await skein(["chat", PG_NANO, "--max-tokens", "1"], {
    stdin: "/frobnicate\n/load none.json\nThe sun went down\n/exit\n",
  });
  assertEquals([code, stdout.split("\n").length], [1, 2]);
  const [, unknown, absent, last, ...rest] = stderr.split("\n");
  assertEquals(unknown, "skein: Unknown command /frobnicate: try /help, or //frobnicate to say it");
  assertStringIncludes(absent!, 'Cannot read /load "none.json": no such file');
  assertEquals([last, rest], ["skein: Cannot do 2 commands of the input: see above", [""]]);
});

Deno.test("chat refuses options as generate does", async () => {
  const finished = await skein(["chat", PG_NANO, "--temperature", "Infinity"]);
  assertEquals(finished.code, 1);
  assertStringIncludes(lastLine(finished), 'Cannot use --temperature "Infinity"');
});
