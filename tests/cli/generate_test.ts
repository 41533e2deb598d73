import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { lastLine, PG_NANO, skein } from "./skein_process.ts";

const PROMPT = ["--prompt", "The old man looked at the sea and"];

Deno.test("generate --json prints one document with what DESIGN promises", async () => {
  const { code, stdout } = await skein(["generate", PG_NANO, ...PROMPT, "--max-tokens", "12", "--json"]);
  assertEquals(code, 0);
  const result = JSON.parse(stdout);
  assertEquals(Object.keys(result), [
    "text",
    "tokens",
    "finish_reason",
    "context_slides",
    "usage",
    "timings",
    "memory",
    "variants",
    "device",
  ]);
  assertEquals(result.tokens.length, 12);
  assertEquals(result.finish_reason, "length");
  assertEquals(result.usage.completion_tokens, 12);
  assert(result.usage.prompt_tokens > 5);
  assertEquals(Object.keys(result.timings), [
    "load_ms",
    "prefill_ms",
    "prefill_tokens_per_s",
    "first_token_ms",
    "decode_ms",
    "decode_tokens_per_s",
  ]);
  for (const value of Object.values(result.timings)) assert(typeof value === "number" && value > 0);
  assertEquals(Object.keys(result.memory), ["weights_bytes", "kv_bytes", "scratch_bytes"]);
  for (const value of Object.values(result.memory)) assert(Number.isInteger(value) && value as number > 0);
  assert(typeof result.device === "string" && result.device !== "");
  const { stdout: decoded } = await skein(["detokenize", PG_NANO, JSON.stringify(result.tokens), "--json"]);
  assertEquals(JSON.parse(decoded).text, result.text);
});

Deno.test("generate prints the same text with and without --json, again and again", async () => {
  const args = ["generate", PG_NANO, ...PROMPT, "--max-tokens", "12", "--temperature", "0.9", "--seed", "7"];
  const plain = await skein(args);
  const again = await skein(args);
  const json = JSON.parse((await skein([...args, "--top-k", "0", "--json"])).stdout);
  assertEquals(plain.stdout, `${json.text}\n`);
  assertEquals(again.stdout, plain.stdout);
});

Deno.test("generate --echo puts the prompt first, and --logprobs tells how likely each token was", async () => {
  const args = ["generate", PG_NANO, ...PROMPT, "--max-tokens", "4", "--echo"];
  const { text, tokens, logprobs } = JSON.parse((await skein([...args, "--logprobs", "2", "--json"])).stdout);
  assert(text.startsWith(PROMPT[1]!) && text.length > PROMPT[1]!.length, text);
  assertEquals(logprobs.map(({ token }: { token: number }) => token), tokens);
  for (const { token, piece, logprob, top } of logprobs) {
    // What is selected greedily is the likeliest.
    assertEquals([top.length, top[0]], [2, { token, piece, logprob }]);
    assert(top[1].logprob < logprob && logprob < 0 && piece.length > 0);
  }
  assertEquals((await skein(args)).stdout, `${text}\n`);
  const refused = await skein([...args, "--logprobs", "2"]);
  assertEquals([refused.code, lastLine(refused)], [1, "skein: Cannot use --logprobs without --json"]);
});

Deno.test("generate has null rates where there was no second token", async () => {
  const { stdout } = await skein(["generate", PG_NANO, ...PROMPT, "--max-tokens", "1", "--json"]);
  assertEquals(JSON.parse(stdout).timings.decode_tokens_per_s, null);
});

Deno.test("generate stops before a stop string", async () => {
  const args = ["generate", PG_NANO, ...PROMPT, "--max-tokens", "12", "--json"];
  const { text } = JSON.parse((await skein(args)).stdout);
  const stop = text.slice(4, 9);
  const stopped = JSON.parse((await skein([...args, "--stop", "never in there", "--stop", stop])).stdout);
  assertEquals(stopped.finish_reason, "stop");
  assertEquals(stopped.text, text.slice(0, text.indexOf(stop)));
});

Deno.test("generate reads a prompt file, special tokens or not", async () => {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, PROMPT[1]!);
    const args = ["--max-tokens", "3", "--json"];
    const inline = JSON.parse((await skein(["generate", PG_NANO, ...PROMPT, ...args])).stdout);
    const fromFile = JSON.parse((await skein(["generate", PG_NANO, "--prompt-file", file, ...args])).stdout);
    const bare = JSON.parse((await skein(["generate", PG_NANO, ...PROMPT, "--no-special-tokens", ...args])).stdout);
    assertEquals(fromFile.tokens, inline.tokens);
    assertEquals(bare.usage.prompt_tokens, inline.usage.prompt_tokens - 1);
  } finally {
    await Deno.remove(file);
  }
});

const REFUSED: readonly (readonly [string, readonly string[], string])[] = [
  ["an empty prompt", ["--prompt", ""], "empty prompt"],
  ["two prompts", ["--prompt", "a", "--prompt-file", "b"], "Expected --prompt or --prompt-file, got both"],
  [
    "a prompt file that is not there",
    ["--prompt-file", "no/file"],
    'Cannot read --prompt-file "no/file": no such file',
  ],
  ["no tokens", [...PROMPT, "--max-tokens", "0"], 'Cannot use --max-tokens "0": expected a whole number from 1'],
  ["huge counts", [...PROMPT, "--max-tokens", "1e400"], 'Cannot use --max-tokens "1e400"'],
  ["a context policy that is none", [...PROMPT, "--context-policy", "sink"], 'Cannot use --context-policy "sink"'],
  ["a context of no tokens", [...PROMPT, "--context-length", "0"], 'Cannot use --context-length "0"'],
  [
    "a probability over 1",
    [...PROMPT, "--top-p", "1.5"],
    'Cannot use --top-p "1.5": expected a number above 0, at most 1',
  ],
  ["a negative seed", [...PROMPT, "--seed", "-1"], 'Cannot use --seed "-1": expected a whole number from 0'],
  ["a scaling that is none", [...PROMPT, "--rope-scaling", "yarn:x"], 'Cannot use --rope-scaling "yarn:x"'],
  ["a scaling that Skein does not compute", [...PROMPT, "--rope-scaling", "magic:8"], '"magic"'],
  ["broken JSON of a scaling", [...PROMPT, "--rope-scaling", "{"], 'Cannot use --rope-scaling "{"'],
  [
    "weights of an unknown kind",
    [...PROMPT, "--weights", "q2"],
    'Cannot use --weights "q2": expected one of auto, f32',
  ],
];
for (const [what, args, message] of REFUSED) {
  Deno.test(`generate refuses ${what}`, async () => {
    const finished = await skein(["generate", PG_NANO, ...args, "--json"]);
    assertEquals([finished.code, finished.stdout], [1, ""]);
    assertStringIncludes(lastLine(finished), message);
    assert(lastLine(finished).startsWith("skein: "));
  });
}

Deno.test("generate refuses a prompt longer than the context, with both numbers", async () => {
  const finished = await skein([
    "generate",
    PG_NANO,
    "--prompt",
    "one two three ".repeat(20),
    "--context-length",
    "16",
  ]);
  assertEquals([finished.code, finished.stdout], [1, ""]);
  const numbers = lastLine(finished).match(/\d+/g)!.map(Number);
  assert(numbers.includes(16) && numbers.some((number) => number > 50), lastLine(finished));
});

Deno.test("generate makes room in a full context where --context-policy says so, and tells how often", async () => {
  const args = ["generate", PG_NANO, ...PROMPT, "--context-length", "24", "--max-tokens", "30"];
  const slid = await skein([...args, "--context-policy", "sink:4:8", "--json"]);
  assertEquals(slid.code, 0, slid.stderr);
  const { tokens, context_slides } = JSON.parse(slid.stdout);
  assertEquals(tokens.length, 30);
  assert(context_slides > 0);
  assertStringIncludes(
    slid.stderr,
    `the context of 24 tokens was full ${context_slides === 1 ? "once" : `${context_slides} times`}`,
  );
  const stopped = await skein([...args, "--context-policy", "stop", "--json"]);
  assertEquals([JSON.parse(stopped.stdout).finish_reason, JSON.parse(stopped.stdout).context_slides], ["length", 0]);
  assert(JSON.parse(stopped.stdout).tokens.length < 24);
  const failed = await skein([...args, "--json"]);
  assertStringIncludes(
    failed.stderr,
    "lower --max-tokens, give a larger --context-length, or set --context-policy to ",
  );
  assertEquals([failed.code, failed.stdout], [1, ""]);
  assertStringIncludes(lastLine(failed), "the context length is 24");
});

Deno.test("generate refuses a model over --memory-limit, with the plan's numbers", async () => {
  const finished = await skein(["generate", PG_NANO, ...PROMPT, "--memory-limit", "1MB"]);
  assertEquals([finished.code, finished.stdout], [1, ""]);
  assertStringIncludes(lastLine(finished), "1000000");
  assert(lastLine(finished).match(/\d{8}/) !== null, lastLine(finished));
});

Deno.test("generate tells on stderr that a context is longer than the model's own", async () => {
  const { code, stderr, stdout } = await skein([
    ...["generate", PG_NANO, ...PROMPT, "--context-length", "4096", "--max-tokens", "2", "--json"],
  ]);
  assertEquals(code, 0);
  assertStringIncludes(stderr, "4096 is over the model's own 2048");
  assertEquals(JSON.parse(stdout).tokens.length, 2);
});
