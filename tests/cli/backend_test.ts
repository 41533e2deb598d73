import { assertEquals, assertStringIncludes } from "@std/assert";

const MAIN = new URL("../../src/cli/main.ts", import.meta.url).pathname;

/** Runs the command line, never on the network. */
async function skein(...args: string[]): Promise<{ code: number; lines: string[] }> {
  const { code, stdout, stderr } = await new Deno.Command("deno", {
    args: ["run", "-q", "--no-prompt", "--no-npm", "--allow-env", "--allow-read", MAIN, ...args],
    env: { NO_COLOR: "1" },
  }).output();
  assertEquals(new TextDecoder().decode(stdout), "");
  return { code, lines: new TextDecoder().decode(stderr).trimEnd().split("\n") };
}

Deno.test("--device dawn where Dawn cannot be loaded says what it was and what to do", async () => {
  const { code, lines } = await skein("inspect", "nothing", "--device", "dawn");
  assertEquals([code, lines.length], [1, 1]);
  const remedy = "run deno task skein:dawn in place of deno task skein, with the network the first time";
  assertStringIncludes(lines[0]!, `skein: Cannot load Dawn: ${remedy} (`);
});

Deno.test("--device with another word is refused before anything is loaded", async () => {
  const { code, lines } = await skein("inspect", "nothing", "--device", "metal");
  assertEquals(code, 1);
  assertEquals(lines, ['skein: Cannot use --device "metal": expected one of auto, deno, dawn']);
});
