import { assertEquals } from "@std/assert";
import { spellTokens } from "../../src/grammar/token_bytes.ts";
import { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { Tokenizer as CoreTokenizer } from "../../wasm/mod.ts";

const TEXT = "The skein, wound by 3 hands:\n\t“l’été” costs 12 € — 😀 naïve\u007f ＡＢ a\u00adb \ufffd";

const testdata = new URL("../testdata/", import.meta.url);

async function gunzipped(name: string): Promise<Uint8Array> {
  const file = await Deno.readFile(new URL(`tokenizer/${name}.gz`, testdata));
  return await new Response(new Blob([file]).stream().pipeThrough(new DecompressionStream("gzip"))).bytes();
}

const vocabularies = {
  "SmolLM2, in GPT-2's alphabet": async () => CoreTokenizer.fromJson(await gunzipped("smollm2.tokenizer.json")),
  "Llama-2, as tokenizer.json": async () => CoreTokenizer.fromJson(await gunzipped("llama2.tokenizer.json")),
  "Llama-2, as SentencePiece": async () => CoreTokenizer.fromSentencePiece(await gunzipped("llama2.tokenizer.model")),
  "pg-nano": async () =>
    CoreTokenizer.fromJson(await Deno.readFile(new URL("pg-nano-yarn-2k/tokenizer.json", testdata))),
};

for (const [name, open] of Object.entries(vocabularies)) {
  Deno.test(`the bytes of a text's tokens are the text's, in the vocabulary of ${name}`, async () => {
    using tokenizer = new Tokenizer(await open());
    const vocabSize = tokenizer.vocabSize + 3;
    const { bytes, lengths } = await spellTokens(tokenizer, vocabSize);
    assertEquals(lengths.length, vocabSize);
    const begins = [0];
    for (const length of lengths) begins.push(begins.at(-1)! + length);
    assertEquals(begins.at(-1), bytes.length);
    const spelled = (id: number) => bytes.subarray(begins[id], begins[id + 1]);
    const ids = [...tokenizer.encode(TEXT, { addSpecialTokens: false })];
    const text = new TextDecoder().decode(Uint8Array.from(ids.flatMap((id) => [...spelled(id)])));
    // SentencePiece begins a text with a space.
    assertEquals(text.trimStart(), TEXT);
    // Padding has no token, and a special token begins with a byte that no text has.
    assertEquals([...lengths.subarray(tokenizer.vocabSize)], [0, 0, 0]);
    for (const id of tokenizer.specialIds) {
      assertEquals([spelled(id)[0], new TextDecoder().decode(spelled(id).subarray(1))], [0xff, tokenizer.piece(id)]);
    }
  });
}
