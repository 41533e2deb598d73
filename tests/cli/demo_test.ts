import { assert, assertEquals, assertStringIncludes } from "@std/assert";

const DEMO = new URL("../../src/cli/demo.ts", import.meta.url).pathname;
const TESTDATA = new URL("../testdata", import.meta.url).pathname;

async function demo(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command("deno", {
    args: ["run", "-q", "--no-prompt", `--allow-read=${TESTDATA}`, "--allow-env=NO_COLOR", DEMO, ...args],
  }).output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

Deno.test("the demo finds a key and holds its perplexity with YaRN, does not without, and fits on one screen", async () => {
  const { code, stdout, stderr } = await demo("86420");
  assertEquals([code, stderr], [0, ""]);
  const lines = stdout.split("\n");
  const plain = lines.find((line) => line.startsWith("  plain RoPE"))!;
  const yarn = lines.find((line) => line.startsWith("  YaRN x8"))!;
  assertStringIncludes(plain, "wrong");
  assert(!plain.includes("86420"));
  assertStringIncludes(yarn, "The pass key is 86420");
  assertStringIncludes(yarn, "right");
  // Both texts end the demo: a table and its plot.
  const numbersOf = (name: string) =>
    lines.findLast((line) => line.startsWith(`  ${name}`) && /\d$/.test(line))!.match(/\d+\.\d\d/g)!.map(Number);
  assertEquals(lines.findLast((line) => line.startsWith("  scaling"))!.match(/\d+/g), ["256", "512", "1024", "2048"]);
  const failing = numbersOf("plain RoPE");
  const holding = numbersOf("YaRN x8");
  assert(failing[3]! > 2 * failing[0]! && failing[0]! > holding[0]!, stdout);
  assert(holding.length === 4 && holding.every((perplexity) => perplexity <= holding[0]!), stdout);
  assert(lines.at(-2)!.endsWith("● plain RoPE   ▲ NTK-aware x8   ■ YaRN x8"), stdout);
  assert(lines.length <= 36 && lines.every((line) => line.length <= 120), stdout);
});

Deno.test("the demo refuses a key that is no number of five digits", async () => {
  const { code, stdout, stderr } = await demo("12x45");
  assertEquals([code, stdout], [1, ""]);
  assertStringIncludes(stderr, 'skein: Cannot hide "12x45": expected a number of five digits');
});
