import { assert, assertEquals, assertStringIncludes } from "@std/assert";

const DEMO = new URL("../../src/cli/demo.ts", import.meta.url).pathname;
const TESTDATA = new URL("../testdata", import.meta.url).pathname;

async function demo(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command("deno", {
    args: ["run", "-q", "--no-prompt", `--allow-read=${TESTDATA}`, DEMO, ...args],
  }).output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

Deno.test("the demo finds a key with YaRN that plain RoPE does not, and fits on one screen", async () => {
  const { code, stdout, stderr } = await demo("86420");
  assertEquals([code, stderr], [0, ""]);
  const lines = stdout.split("\n");
  const plain = lines.find((line) => line.startsWith("  plain RoPE"))!;
  const yarn = lines.find((line) => line.startsWith("  YaRN x8"))!;
  assertStringIncludes(plain, "wrong");
  assert(!plain.includes("86420"));
  assertStringIncludes(yarn, "The pass key is 86420");
  assertStringIncludes(yarn, "right");
  assert(lines.length <= 36 && lines.every((line) => line.length <= 120), stdout);
});

Deno.test("the demo refuses a key that is no number of five digits", async () => {
  const { code, stdout, stderr } = await demo("12x45");
  assertEquals([code, stdout], [1, ""]);
  assertStringIncludes(stderr, 'skein: Cannot hide "12x45": expected a number of five digits');
});
