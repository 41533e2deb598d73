import { assert, assertEquals, assertThrows } from "@std/assert";
import { HeaderParser, parseIndex, Tokenizer } from "../../wasm/mod.ts";

/** The table that a complete parser gives. */
interface Table {
  tensors: { name: string; dtype: string; shape: number[]; begin: number; end: number }[];
  metadata: Record<string, unknown>;
}

const forms = new URL("../testdata/tiny/storage_forms/", import.meta.url);
const bytesOf = (path: string) => Deno.readFileSync(new URL(path, forms));
const encode = (text: string) => new TextEncoder().encode(text);

function parse(format: "safetensors" | "gguf" | "torch", file: Uint8Array): HeaderParser {
  const parser = new HeaderParser(format, "file", file.length);
  for (let range = parser.wanted(); range !== undefined; range = parser.wanted()) {
    parser.supply(file.subarray(range[0], range[1]));
  }
  return parser;
}

function table(format: "safetensors" | "gguf" | "torch", file: Uint8Array): Table {
  using parser = parse(format, file);
  return JSON.parse(parser.finish());
}

/** A table with the bytes of each tensor instead of its place. */
function contents(format: "safetensors" | "gguf" | "torch", path: string): Map<string, unknown> {
  const file = bytesOf(path);
  return new Map(
    table(format, file).tensors.map(({ name, dtype, shape, begin, end }) => [
      name,
      { dtype, shape, data: file.slice(begin, end) },
    ]),
  );
}

function code(action: () => unknown): string {
  const error = assertThrows(action, Error);
  return (error as Error & { code: string }).code;
}

for (const dtype of ["f16", "bf16"]) {
  Deno.test(`HeaderParser finds the same ${dtype} tensors in safetensors and torch files`, () => {
    const expected = contents("safetensors", `safetensors_${dtype}/model.safetensors`);
    const torch = contents("torch", `torch_${dtype}/pytorch_model.bin`);
    for (const [name, tensor] of expected) assertEquals(torch.get(name), tensor, name);
  });
}

Deno.test("HeaderParser finds the same f32 norms and shapes in safetensors and GGUF files", () => {
  const expected = contents("safetensors", "safetensors_f32/model.safetensors");
  const gguf = contents("gguf", "f32.gguf");
  assertEquals(gguf.get("output_norm.weight"), expected.get("model.norm.weight"));
  assertEquals(gguf.get("token_embd.weight"), expected.get("model.embed_tokens.weight"));
  assertEquals(gguf.get("blk.0.ffn_up.weight"), expected.get("model.layers.0.mlp.up_proj.weight"));
});

Deno.test("HeaderParser names the quantised types of ggml and counts their blocks", () => {
  const file = bytesOf("q4_1.gguf");
  const { tensors, metadata } = table("gguf", file);
  const quantised = tensors.filter(({ dtype }) => dtype === "Q4_1");
  assert(quantised.length > 0);
  for (const { shape, begin, end } of quantised) {
    assertEquals(end - begin, shape.reduce((count, size) => count * size, 1) / 32 * 20);
  }
  assertEquals(metadata["general.architecture"], "llama");
  assertEquals("tokenizer.ggml.tokens" in metadata, false);
});

Deno.test("HeaderParser never asks for tensor data", () => {
  const file = bytesOf("safetensors_f32/model.safetensors");
  const parser = new HeaderParser("safetensors", "file", file.length);
  let asked = 0;
  for (let range = parser.wanted(); range !== undefined; range = parser.wanted()) {
    asked += range[1]! - range[0]!;
    parser.supply(file.subarray(range[0], range[1]));
  }
  assertEquals(asked, Math.min(...(JSON.parse(parser.finish()) as Table).tensors.map(({ begin }) => begin)));
  parser.free();
});

Deno.test("errors carry the core's code and a message with the value", () => {
  const file = bytesOf("f32.gguf");
  assertEquals(code(() => parse("gguf", file.subarray(0, file.length - 1))), "Truncated");
  assertEquals(code(() => parse("gguf", encode("GGUF" + "\0".repeat(60)))), "Unsupported");
  assertEquals(code(() => parse("safetensors", encode("\x02\0\0\0\0\0\0\0[]"))), "Malformed");
  assertEquals(code(() => parseIndex(encode(`{"weight_map": {"a": "../b"}}`))), "OutOfRange");
  for (const size of [-1, 1.5, NaN, Infinity, 2 ** 53]) {
    assertThrows(() => new HeaderParser("gguf", "file", size), Error, "File size");
  }
});

Deno.test("HeaderParser keeps to its protocol", () => {
  const parser = new HeaderParser("safetensors", "file", 100);
  assertEquals(code(() => parser.finish()), "Usage");
  assertEquals(code(() => parser.supply(new Uint8Array(7))), "Usage");
  assertEquals(code(() => parser.ggufTokenizer()), "Usage");
  assertEquals(code(() => parser.supply(new Uint8Array(8))), "Malformed");
  assertEquals(parser.wanted(), undefined);
  assertEquals(code(() => parser.supply(new Uint8Array(8))), "Usage");
  assertEquals(code(() => parser.finish()), "Usage");
  parser.free();
});

Deno.test("parseIndex() reads which file holds which tensor", () => {
  const index = { metadata: { total_size: 8 }, weight_map: { b: "model-00001-of-00002.safetensors", a: "x.bin" } };
  assertEquals(JSON.parse(parseIndex(encode(JSON.stringify(index)))), { weight_map: index.weight_map });
});

Deno.test("a GGUF file's tokenizer gives the ids of the same model's tokenizer.json", () => {
  using parser = parse("gguf", bytesOf("f32.gguf"));
  using gguf = parser.ggufTokenizer();
  using json = Tokenizer.fromJson(
    bytesOf("safetensors_f32/tokenizer.json"),
    bytesOf("safetensors_f32/tokenizer_config.json"),
  );
  assertEquals(gguf.vocabSize, json.vocabSize);
  for (const text of ["", "Hello world", " it's 1234 \n\n x", "naïve 日本語 😀"]) {
    assertEquals(gguf.encode(text, false), json.encode(text, false), text);
    assertEquals(gguf.decode(gguf.encode(text, false), false), json.decode(json.encode(text, false), false));
  }
});
