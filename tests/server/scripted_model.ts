/**
 * A model that says what a test wants: every token has one that follows it, whatever came before.
 *
 * @module
 */
import { CONFIG, encode, safetensors, tensorsOf } from "../checkpoint/tiny_checkpoint.ts";

/** What a model is to say. */
export interface Script {
  /** Its chat template. */
  readonly template: string;
  /** Pieces of text, each a token; from one to the next of a line the model goes on, and then it ends. */
  readonly lines: readonly (readonly string[])[];
}

/**
 * Makes the model's folder; disposing of it removes it. Tokens' embeddings are the axes, attention and MLP add nothing,
 * and the head turns each axis into the next one: `logits[u] = 32` where u follows the token, else 0. Words that are no
 * piece of a line are one unknown token.
 */
export async function scriptedFolder(
  { template, lines }: Script,
): Promise<AsyncDisposable & { readonly path: string }> {
  const pieces = [...new Set(lines.flat())];
  const vocab = ["<unk>", "<s>", "</s>", ...pieces];
  const idOf = (piece: string) => vocab.indexOf(piece);
  const { hidden_size: hidden, vocab_size: vocabSize } = CONFIG;
  const tensors = tensorsOf("F32");
  const fill = (name: string, valueOf: (row: number, column: number) => number) => {
    const tensor = tensors.get(`${name}.weight`)!;
    const [rows, columns = 1] = tensor.shape as [number, number?];
    const values = Float32Array.from(
      { length: rows * columns },
      (_, i) => valueOf(Math.floor(i / columns), i % columns),
    );
    tensors.set(`${name}.weight`, { ...tensor, data: encode("F32", values) });
  };
  const followed = new Map(
    lines.flatMap((line) => line.map((piece, i) => [idOf(piece), idOf(line[i + 1] ?? "</s>")] as const)),
  );
  fill("model.embed_tokens", (token, axis) => token === axis ? 1 : 0);
  // A norm makes an axis sqrt(hidden) long.
  fill("lm_head", (token, axis) => followed.get(axis) === token ? 32 / Math.sqrt(hidden) : 0);
  for (const name of ["self_attn.o_proj", "mlp.down_proj"]) fill(`model.layers.0.${name}`, () => 0);
  for (const name of ["layers.0.input_layernorm", "layers.0.post_attention_layernorm", "norm"]) {
    fill(`model.${name}`, () => 1);
  }
  const tokenizer = {
    version: "1.0",
    added_tokens: vocab.map((content, id) => ({
      ...{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: id < 3 },
    })),
    pre_tokenizer: { type: "Whitespace" },
    decoder: { type: "Fuse" },
    model: {
      type: "BPE",
      vocab: Object.fromEntries(Array.from({ length: vocabSize }, (_, id) => [vocab[id] ?? `<${id}>`, id])),
      ...{ merges: [], unk_token: "<unk>", fuse_unk: true },
    },
  };
  const path = await Deno.makeTempDir();
  const config = { ...CONFIG, max_position_embeddings: 512, bos_token_id: 1, eos_token_id: 2 };
  await Deno.writeTextFile(`${path}/config.json`, JSON.stringify(config));
  await Deno.writeTextFile(`${path}/tokenizer.json`, JSON.stringify(tokenizer));
  const special = { bos_token: "<s>", eos_token: "</s>", chat_template: template };
  await Deno.writeTextFile(`${path}/tokenizer_config.json`, JSON.stringify(special));
  await Deno.writeFile(`${path}/model.safetensors`, await safetensors(tensors).bytes());
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}
