import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { PG_NANO, skein } from "./skein_process.ts";

const YARN_7B = PG_NANO.replace(/[^/]*$/, "yarn-llama-2-7b-64k");

Deno.test("inspect --json shows config, rope, tensors and plan", async () => {
  const { code, stdout } = await skein(["inspect", PG_NANO, "--json"]);
  assertEquals(code, 0);
  const { config, rope, tensors, plan } = JSON.parse(stdout);
  assertEquals([config.nLayers, config.nHeads, config.nKvHeads, config.vocabSize], [6, 4, 2, 4096]);
  assertEquals([rope.type, rope.source, rope.inv_freq.length], ["yarn", "rope_scaling", 32]);
  assert(Math.abs(rope.attention_factor - (0.1 * Math.log(8) + 1)) < 1e-6);
  assertEquals(tensors.length, 1 + 6 * 9 + 1);
  assertEquals(tensors.find(({ name }: { name: string }) => name === "model.embed_tokens.weight"), {
    name: "model.embed_tokens.weight",
    dtype: "F16",
    shape: [4096, 256],
  });
  for (const row of plan) {
    assertEquals(row.total_bytes, row.weights_bytes + row.kv_bytes + row.scratch_bytes);
    assertEquals(row.context_length, 2048);
  }
});

Deno.test("inspect plans a model whose weights are not there yet", async () => {
  const { code, stdout } = await skein(["inspect", YARN_7B, "--json"]);
  assertEquals(code, 0);
  const { rope, tensors, plan } = JSON.parse(stdout);
  assertEquals([rope.type, tensors], ["yarn", []]);
  // 6,738,415,616 parameters; half-precision keys and values of 32 layers of 4096 for 65,536 tokens.
  assert(plan[0].weights_bytes >= 6738415616 * 2 && plan[0].weights_bytes < 6738415616 * 2.02);
  assertEquals(plan[0].kv_bytes, 2 * 32 * 4096 * 65536 * 2);
  // Eight bits or four an element, and half a bit for the scales of groups of 32.
  const smallest = plan.filter(({ weights }: { weights: string }) => weights === "q4");
  assertEquals(smallest.map((row: { kv_cache: string }) => row.kv_cache), ["f16", "q8", "q4"]);
  assertEquals(smallest.map((row: { kv_bytes: number }) => row.kv_bytes / 2 ** 30), [32, 17, 9]);
  assert(smallest[2].total_bytes < 15e9, "A GPU of 16 GB holds it");
});

Deno.test("inspect says what does not fit in --memory-limit", async () => {
  const { stdout } = await skein(["inspect", PG_NANO, "--memory-limit", "1MB", "--json"]);
  assert(JSON.parse(stdout).plan.every(({ fits }: { fits: boolean }) => fits === false));
  const some = await skein(["inspect", PG_NANO, "--memory-limit", "12MB", "--weights", "q4"]);
  const rows = some.stdout.split("\n").filter((line) => /^(weights|q4) {2}/.test(line)).map((line) =>
    line.split(/ {2,}/)
  );
  assertEquals(rows.map((row) => [row[1], row.at(-1)]), [["KV cache", "fits"], ["f16", "no"], ["q8", "yes"], [
    "q4",
    "yes",
  ]]);
});

Deno.test("inspect without --json prints a table", async () => {
  const { code, stdout } = await skein(["inspect", PG_NANO]);
  assertEquals(code, 0);
  assertStringIncludes(stdout, "RoPE            yarn from rope_scaling, base 10,000, attention factor 1.2079");
  assertStringIncludes(stdout, "MiB");
  assert(!/undefined|null|nHeads|ropeScaling|\{/.test(stdout), stdout);
  const plain = await skein(["inspect", PG_NANO, "--rope-scaling", "none"]);
  assertStringIncludes(plain.stdout, "not scaled, by --rope-scaling, base 10,000, attention factor 1\n");
});

Deno.test("inspect names the types of a GGUF file's tensors, and the tensor that scales its frequencies", async () => {
  const tiny = new URL("../testdata/tiny/", import.meta.url).pathname;
  const blocks = await skein(["inspect", `${tiny}gguf_blocks/model.gguf`]);
  assertStringIncludes(blocks.stdout, "11 (3 F32, 2 Q6_K, 1 ");
  const rope = await skein(["inspect", `${tiny}llama3_rope/f16.gguf`]);
  assertStringIncludes(rope.stdout, "factors from rope_freqs.weight, base 1,000, attention factor 1\n");
});
