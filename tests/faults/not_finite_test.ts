import { assertEquals, assertRejects } from "@std/assert";
import { blobSource, loadModel, type ModelSource, ShaderError } from "../../mod.ts";
import { encode } from "../checkpoint/tiny_checkpoint.ts";

const folder = new URL("../testdata/tiny/mha_untied/", import.meta.url);
const PROMPT = [5, 9, 33, 71, 14, 3];

/** A file with one tensor of f16 made bf16, which holds numbers as large as f32 does, and all of 3e38. */
function enlarged(bytes: Uint8Array<ArrayBuffer>, tensor: string): Blob {
  const begin = 8 + new DataView(bytes.buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, begin)));
  const { dtype, data_offsets: [first, end] } = header[tensor];
  assertEquals(dtype, "F16");
  header[tensor].dtype = "BF16";
  const values = Float32Array.from(
    new Float16Array(bytes.slice(begin + first, begin + end).buffer),
    (x) => Math.sign(x) * 3e38,
  );
  const data = bytes.slice(begin);
  data.set(encode("BF16", values), first);
  const text = JSON.stringify(header);
  const head = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 8) * 8));
  return new Blob([new BigUint64Array([BigInt(head.length)]), head, data]);
}

/** The tiny model with the weights of one tensor so large that sums of their products are infinite. */
async function tooLarge(tensor: string): Promise<ModelSource> {
  const files = new Map<string, Blob>();
  for await (const { name, isFile } of Deno.readDir(folder)) {
    if (!isFile || !/\.(json|model|safetensors)$/.test(name)) continue;
    const bytes = await Deno.readFile(new URL(name, folder));
    files.set(name, name === "model.safetensors" ? enlarged(bytes, tensor) : new Blob([bytes]));
  }
  return blobSource(files);
}

for (
  const [tensor, where] of [
    ["model.layers.0.self_attn.v_proj.weight", "in layer 0, queries, keys and values"],
    ["model.layers.1.self_attn.q_proj.weight", "in layer 1, queries, keys and values"],
    ["model.layers.0.self_attn.o_proj.weight", "in layer 0, the residual after attention"],
    ["model.layers.1.mlp.up_proj.weight", "in layer 1, the residual after attention"],
    ["model.layers.1.mlp.down_proj.weight", "in layer 1, the output of the MLP"],
    ["lm_head.weight", "all layers"],
  ] as const
) {
  Deno.test(`logits that are not finite are told of by their origin: ${tensor}`, async () => {
    using model = await loadModel(await tooLarge(tensor), { weights: "f32", kvCache: "f32", contextLength: 64 });
    const before = model.memory.allocatedBytes;
    for (
      const work of [
        () => model.generate(PROMPT, { maxTokens: 4 }).result,
        () => model.generate(PROMPT, { maxTokens: 4, temperature: 1, seed: 1 }).result,
        () => model.score([...PROMPT, 8]),
      ]
    ) {
      const error = await assertRejects(work, ShaderError, "Logits are not finite after ");
      assertEquals(error.message.match(/tokens: (.*?)(, or| are)/)?.[1], where);
    }
    assertEquals(model.memory.allocatedBytes, before);
  });
}
