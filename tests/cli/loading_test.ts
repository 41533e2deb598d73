import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { lastLine, PG_NANO, skein } from "./skein_process.ts";

const FILES = ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"];

/** Runs `generate` on a copy of the demo's model after it was changed. */
async function refusalOf(change: (folder: string) => Promise<void>): Promise<string> {
  const folder = await Deno.makeTempDir();
  try {
    for (const file of FILES) await Deno.copyFile(`${PG_NANO}/${file}`, `${folder}/${file}`);
    await change(folder);
    const finished = await skein(["generate", folder, "--prompt", "It was", "--max-tokens", "1", "--json"]);
    assertEquals([finished.code, finished.stdout], [1, ""]);
    assert(lastLine(finished).startsWith("skein: "), lastLine(finished));
    return lastLine(finished);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const CONFIGS: readonly (readonly [string, Record<string, unknown>, readonly string[]])[] = [
  ["an unknown architecture", { architectures: ["MambaForCausalLM"] }, ["config.json", "architectures", "Mamba"]],
  ["an unknown activation", { hidden_act: "gelu" }, ["config.json", "hidden_act", "gelu"]],
  ["an unknown RoPE type", { rope_scaling: { type: "spiral", factor: 2 } }, ["config.json", "rope_scaling", "spiral"]],
  ["no layers", { num_hidden_layers: 0 }, ["config.json", "num_hidden_layers", "0"]],
  ["more layers than there are", { num_hidden_layers: 7 }, ["model.layers.6"]],
  ["shapes that disagree", { intermediate_size: 768 }, ["model.safetensors", "mlp", "704", "768"]],
  ["fewer embedding rows than tokens", { vocab_size: 4000 }, ["4096", "4000"]],
];
for (const [what, fields, parts] of CONFIGS) {
  Deno.test(`a config with ${what} is refused by file, field and value`, async () => {
    const message = await refusalOf(async (folder) => {
      const config = JSON.parse(await Deno.readTextFile(`${folder}/config.json`));
      await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify({ ...config, ...fields }));
    });
    for (const part of parts) assertStringIncludes(message, part);
  });
}

Deno.test("a weight file that ends too early is refused with both sizes", async () => {
  const message = await refusalOf((folder) => Deno.truncate(`${folder}/model.safetensors`, 1_000_000));
  assertStringIncludes(message, "model.safetensors");
  assertStringIncludes(message, "1000000");
});

Deno.test("a config that is no JSON is refused", async () => {
  assertStringIncludes(
    await refusalOf((folder) => Deno.writeTextFile(`${folder}/config.json`, "{")),
    "config.json",
  );
});

Deno.test("a tokenizer that is none is refused", async () => {
  assertStringIncludes(
    await refusalOf((folder) => Deno.writeTextFile(`${folder}/tokenizer.json`, '{"model": 7}')),
    "tokenizer.json",
  );
});
