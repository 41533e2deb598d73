import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import manifest from "../../deno.json" with { type: "json" };
import { lastLine, PG_NANO, skein, startSkein } from "./skein_process.ts";

const COMMANDS = [
  "generate",
  "chat",
  "score",
  "perplexity",
  "passkey",
  "compare",
  "reproduce",
  "tokenize",
  "detokenize",
  "inspect",
  "convert",
  "pull",
  "remove",
];

async function assertRefused(args: readonly string[], message: string): Promise<void> {
  const finished = await skein(args);
  assertEquals(finished.code, 1);
  assertEquals(finished.stdout, "");
  assert(lastLine(finished).startsWith("skein: "), lastLine(finished));
  assertStringIncludes(lastLine(finished), message);
}

Deno.test("skein --help lists the commands, and each explains itself", async () => {
  const { code, stdout } = await skein(["--help"]);
  assertEquals(code, 0);
  for (const command of COMMANDS) {
    assertStringIncludes(stdout, command);
    const help = await skein([command, "--help"]);
    assertEquals([help.code, help.stderr], [0, ""]);
    assertStringIncludes(help.stdout, `Usage: skein ${command} MODEL`);
  }
});

Deno.test("skein --version tells the package's version", async () => {
  assertEquals((await skein(["--version"])).stdout, `skein ${manifest.version}\n`);
});

Deno.test("skein refuses what it does not know, and names what is near", async () => {
  await assertRefused(["generat", PG_NANO], "Unknown command generat: did you mean generate");
  await assertRefused(["train", PG_NANO], "Unknown command train: expected one of generate, chat, serve, score");
  await assertRefused(["--json"], "Unknown option --json");
  await assertRefused(
    ["generate", PG_NANO, "--prompt", "x", "--max-token", "3"],
    "Unknown option --max-token: did you mean --max-tokens",
  );
});

Deno.test("skein refuses missing and surplus arguments by name", async () => {
  await assertRefused(["generate"], "Expected MODEL as argument 1");
  await assertRefused(["generate", PG_NANO], "Expected --prompt TEXT or --prompt-file FILE");
  await assertRefused(["generate", PG_NANO, "once upon", "--prompt", "x"], 'Cannot use argument "once upon"');
  await assertRefused(["detokenize", PG_NANO], "Expected IDS as argument 2");
});

Deno.test("skein refuses a number that is none before it loads anything", async () => {
  await assertRefused(
    ["generate", "nowhere", "--prompt", "x", "--temperature", "NaN", "--json"],
    'Cannot use --temperature "NaN": expected a number from 0 to 100',
  );
});

Deno.test("skein refuses a model that is not there, by its path", async () => {
  await assertRefused(["generate", "no/such/model", "--prompt", "x"], "no/such/model");
});

Deno.test("skein refuses a directory without a model, and says what it misses", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await assertRefused(["generate", folder, "--prompt", "x"], "config.json");
  } finally {
    await Deno.remove(folder);
  }
});

Deno.test("skein without an adapter names the package to install", async () => {
  const finished = await skein(["generate", PG_NANO, "--prompt", "x", "--json"], {
    env: { DENO_WEBGPU_BACKEND: "vulkan", VK_ICD_FILENAMES: "/nonexistent", VK_DRIVER_FILES: "/nonexistent" },
  });
  assertEquals([finished.code, finished.stdout], [1, ""]);
  assertStringIncludes(lastLine(finished), "skein: No WebGPU adapter found");
  assertStringIncludes(lastLine(finished), "mesa-vulkan-drivers");
});

Deno.test("skein resolves paths against INIT_CWD", async () => {
  const folder = PG_NANO.replace(/\/[^/]*$/, "");
  const { code, stdout } = await skein(["tokenize", "pg-nano-yarn-2k", "Hello"], { env: { INIT_CWD: folder } });
  assertEquals(code, 0);
  assert(/^[\d,]+\n$/.test(stdout), stdout);
});

Deno.test("skein ends quietly when nobody reads its output any more", async () => {
  const process = startSkein(["generate", PG_NANO, "--prompt", "It was", "--max-tokens", "1500"]);
  const stderr = new Response(process.stderr).text();
  const reader = process.stdout.getReader();
  await reader.read();
  await reader.cancel();
  assertEquals((await process.status).code, 0);
  assertEquals(await stderr, "");
  await process.stdin.close();
});

Deno.test("an interrupt ends a generation at once", async () => {
  const process = startSkein(["generate", PG_NANO, "--prompt", "It was", "--max-tokens", "1500"]);
  const stderr = new Response(process.stderr).text();
  const reader = process.stdout.getReader();
  await reader.read();
  const started = performance.now();
  process.kill("SIGINT");
  assertEquals((await process.status).code, 130);
  assert(performance.now() - started < 1000);
  assertEquals(await stderr, "skein: Interrupted\n");
  await reader.cancel();
  await process.stdin.close();
});
