import { assert, assertEquals, assertThrows } from "@std/assert";
import { FormatError } from "../../src/errors.ts";
import { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { Tokenizer as CoreTokenizer } from "../../wasm/mod.ts";

/** What make_data.py got from the `tokenizers` library. */
interface Expected {
  vocab_size: number;
  ids: number[][];
  /** Decoded text by index, only where it is not the text that was encoded. */
  decoded: Record<string, string>;
  /** SHA-256 of the ids of a book, which is long enough to be encoded in parts. */
  book: string;
  /** SHA-256 of the ids of each plane's text. */
  planes: string[];
}

const data = new URL("../testdata/", import.meta.url);
const expected: Record<string, Expected> = JSON.parse(Deno.readTextFileSync(new URL("tokenizer/expected.json", data)));
const torture: string[] = JSON.parse(Deno.readTextFileSync(new URL("tokenizer/torture.json", data)));

async function read(file: string): Promise<Uint8Array> {
  const bytes = await Deno.readFile(new URL(file, data));
  if (!file.endsWith(".gz")) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function open(file: string, config?: Record<string, unknown>): Promise<Tokenizer> {
  const bytes = await read(file);
  const configBytes = config && new TextEncoder().encode(JSON.stringify(config));
  const make = file.includes(".model") ? CoreTokenizer.fromSentencePiece : CoreTokenizer.fromJson;
  return new Tokenizer(make(bytes, configBytes), file);
}

/** The text of make_data.py: every 13th code point of a plane after a letter and before a digit. */
function planeText(plane: number): string {
  let text = "";
  for (let point = plane << 16; point < (plane + 1) << 16; point += 13) {
    if (point >= 0xd800 && point < 0xe000) continue;
    const character = String.fromCodePoint(point);
    text += `a${character} ${character}1`;
  }
  return text;
}

async function digest(ids: Uint32Array): Promise<string> {
  const hash = await crypto.subtle.digest(
    "SHA-256",
    new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength).slice(),
  );
  return new Uint8Array(hash).toHex();
}

const files = [
  ["smollm2", "tokenizer/smollm2.tokenizer.json.gz"],
  ["pg_nano", "pg-nano-yarn-2k/tokenizer.json"],
  ["llama2", "tokenizer/llama2.tokenizer.json.gz"],
  ["llama2", "tokenizer/llama2.tokenizer.model.gz"],
] as const;

for (const [name, file] of files) {
  const { vocab_size, ids, decoded, book, planes } = expected[name]!;

  Deno.test(`encode() of ${file} gives the library's ids of the torture texts`, async () => {
    using tokenizer = await open(file);
    assertEquals(tokenizer.vocabSize, vocab_size);
    for (const [index, text] of torture.entries()) {
      assertEquals(Array.from(tokenizer.encode(text)), ids[index], `text ${index}: ${JSON.stringify(text)}`);
    }
  });

  Deno.test(`encode() of ${file} gives the library's ids in every Unicode plane`, async () => {
    using tokenizer = await open(file);
    for (const [plane, hash] of planes.entries()) {
      assertEquals(await digest(tokenizer.encode(planeText(plane))), hash, `plane ${plane}`);
    }
  });

  Deno.test(`encode() of ${file} gives the library's ids of a book`, async () => {
    using tokenizer = await open(file);
    const text = await Deno.readTextFile(new URL("pg19/keith_of_the_border.txt", data));
    assertEquals(await digest(tokenizer.encode(text.repeat(8))), book);
  });

  Deno.test(`decode() of ${file} gives back what the library gives back`, async () => {
    using tokenizer = await open(file);
    for (const [index, text] of torture.entries()) {
      assertEquals(tokenizer.decode(ids[index]!), decoded[index] ?? text, `text ${index}`);
    }
  });
}

const llama2 = "tokenizer/llama2.tokenizer.model.gz";

Deno.test("a config decides about BOS and EOS", async () => {
  const tokens = { bos_token: "<s>", eos_token: { content: "</s>" } };
  const encode = async (config: Record<string, unknown>) => {
    using tokenizer = await open(llama2, { ...tokens, ...config });
    assertEquals([tokenizer.bosId, tokenizer.eosId], [1, 2]);
    assertEquals(Array.from(tokenizer.encode("a", { addSpecialTokens: false })), [263]);
    return Array.from(tokenizer.encode("a"));
  };
  assertEquals(await encode({}), [1, 263]);
  assertEquals(await encode({ add_bos_token: true, add_eos_token: true }), [1, 263, 2]);
  assertEquals(await encode({ add_bos_token: false, add_eos_token: true }), [263, 2]);
  assertEquals(await encode({ add_bos_token: false }), [263]);
});

Deno.test("a config that is not legacy puts a space before the text only", async () => {
  using legacy = await open(llama2, {});
  using first = await open(llama2, { legacy: false });
  using none = await open(llama2, { add_prefix_space: false });
  const encode = (tokenizer: Tokenizer) => Array.from(tokenizer.encode("a<s>a", { addSpecialTokens: false }));
  assertEquals(encode(legacy), [263, 1, 263]);
  assertEquals(encode(first), [263, 1, 29874]);
  assertEquals(encode(none), [29874, 1, 29874]);
});

Deno.test("a config adds tokens, special or not, and the chat template", async () => {
  const token = { lstrip: false, rstrip: false, normalized: false, single_word: false };
  using tokenizer = await open(llama2, {
    added_tokens_decoder: {
      "32000": { content: "<|a|>", special: true, ...token },
      "32001": { content: "<|b|>", special: false, ...token },
    },
    chat_template: [{ name: "tool_use", template: "t" }, { name: "default", template: "d" }],
  });
  assertEquals(tokenizer.vocabSize, 32002);
  assertEquals(tokenizer.chatTemplate, "d");
  assertEquals(Array.from(tokenizer.specialIds), [0, 1, 2, 32000]);
  const ids = tokenizer.encode("<|a|><|b|>", { addSpecialTokens: false });
  assertEquals(Array.from(ids), [32000, 32001]);
  assertEquals(tokenizer.decode(ids), "<|a|><|b|>");
  assertEquals(tokenizer.decode(ids, { skipSpecialTokens: true }), "<|b|>");
});

Deno.test("piece() spells a token", async () => {
  using tokenizer = await open(llama2);
  assertEquals(tokenizer.piece(263), "▁a");
  assertEquals(tokenizer.piece(32000), undefined);
  assertThrows(() => tokenizer.piece(1.5), RangeError, "1.5");
});

Deno.test("decode() names an id that has no token", async () => {
  using tokenizer = await open(llama2);
  assertThrows(() => tokenizer.decode([1, 32000]), RangeError, "vocabulary of 32000: 32000");
  assertThrows(() => tokenizer.decode([-1]), RangeError, "-1");
  assertThrows(() => tokenizer.decode([NaN]), RangeError, "NaN");
});

Deno.test("encode() refuses a text above its limit and takes lone surrogates as U+FFFD", async () => {
  using tokenizer = await open(llama2);
  assertThrows(() => tokenizer.encode("x".repeat((4 << 20) + 1)), RangeError, "4194305");
  assertEquals(tokenizer.encode("\ud800"), tokenizer.encode("\ufffd"));
});

Deno.test("encode() names an expression of the file that runs away", async () => {
  const json = JSON.parse(new TextDecoder().decode(await read("pg-nano-yarn-2k/tokenizer.json")));
  json.pre_tokenizer = {
    type: "Split",
    pattern: { Regex: "(?:(?=a)a|a)+(?<=b)c" },
    behavior: "Isolated",
    invert: false,
  };
  const bytes = new TextEncoder().encode(JSON.stringify(json));
  using tokenizer = new Tokenizer(CoreTokenizer.fromJson(bytes), "evil.json");
  const error = assertThrows(() => tokenizer.encode("a".repeat(40)), FormatError, "evil.json");
  assert(error instanceof FormatError);
  assertEquals([error.code, error.file], ["RegexLimit", "evil.json"]);
});

Deno.test("a disposed tokenizer says so", async () => {
  const tokenizer = await open(llama2);
  tokenizer.dispose();
  tokenizer.dispose();
  assertThrows(() => tokenizer.encode("a"), TypeError, "disposal");
});
