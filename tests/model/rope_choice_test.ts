import { assertEquals } from "@std/assert";
import { parseConfig } from "../../src/model/config.ts";
import { chooseRope } from "../../src/model/rope_choice.ts";

const llama = {
  model_type: "llama",
  architectures: ["LlamaForCausalLM"],
  hidden_size: 64,
  intermediate_size: 128,
  num_hidden_layers: 1,
  num_attention_heads: 1,
  vocab_size: 100,
  rms_norm_eps: 1e-5,
};

const extended = {
  ...llama,
  max_position_embeddings: 2048,
  rope_scaling: { type: "yarn", factor: 8, original_max_position_embeddings: 256 },
};

for (
  const [what, config] of [
    ["from the config's length", { ...llama, max_position_embeddings: 256 }],
    ["of a model that was extended, from the length before", extended],
  ] as const
) {
  Deno.test(`a factor that the caller chooses counts ${what}`, () => {
    const own = chooseRope(parseConfig(extended, "config.json"), undefined);
    const chosen = chooseRope(parseConfig(config, "config.json"), { type: "yarn", factor: 8 });
    assertEquals(chosen, { ...own, source: "option" });
  });
}
