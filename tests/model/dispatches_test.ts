import { assertEquals } from "@std/assert";
import { type KvFormat, loadModel } from "../../mod.ts";
import { KV_FORMATS } from "../../src/kernels/kv_formats.ts";
import { Recorder } from "../../src/gpu/recorder.ts";

const LAYER_OUTPUT = ["matvec", "matvec", "matvec"];

/** Names of the kernels that a decoded token takes, without their formats and variants. */
async function dispatchesOfToken(name: string, kvCache: KvFormat, promptTokens: number): Promise<string[]> {
  const directory = new URL(`../testdata/tiny/${name}`, import.meta.url).pathname;
  using model = await loadModel(directory, { weights: "q4", kvCache, contextLength: 512 });
  const { dispatch } = Recorder.prototype;
  let names: string[] = [];
  try {
    Recorder.prototype.dispatch = function (this: Recorder, kernel, ...rest): void {
      // A pass begins with the embedding; the last one that is recorded decodes.
      if (kernel.name.startsWith("embed")) names = [];
      names.push(kernel.name.split(".")[0]!.replace(/_(direct|shared)$/, ""));
      dispatch.call(this, kernel, ...rest);
    } as typeof dispatch;
    await model.generate(Array.from({ length: promptTokens }, (_, i) => i % 7), { maxTokens: 3 }).result;
  } finally {
    Recorder.prototype.dispatch = dispatch;
  }
  return names;
}

/** A greedy token's pass with `nLayers` layers. */
function pass(nLayers: number, attention: readonly string[]): string[] {
  const layers = Array.from({ length: nLayers }, () => ["matvec", ...attention, ...LAYER_OUTPUT]);
  return ["embed", ...layers.flat(), "matvec", "argmax", "advance"];
}

for (const kvCache of KV_FORMATS) {
  Deno.test(`a decoded token takes 6 dispatches a layer and 4 besides, ${kvCache}`, async () => {
    const attention = ["attention_decode", "attention_merge"];
    assertEquals(await dispatchesOfToken("gqa_tied", kvCache, 300), pass(1, attention));
  });

  Deno.test(`and one a layer less while a single split has all keys, ${kvCache}`, async () => {
    assertEquals(await dispatchesOfToken("gqa_tied", kvCache, 3), pass(1, ["attention_decode"]));
  });
}

Deno.test("norms of heads take a dispatch more", async () => {
  assertEquals(await dispatchesOfToken("qwen3_yarn", "f16", 3), pass(2, ["head_norm", "attention_decode"]));
});
