import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { StopFilter, TextStream } from "../../src/tokenizer/text_stream.ts";
import { Tokenizer } from "../../src/tokenizer/tokenizer.ts";
import { Tokenizer as CoreTokenizer } from "../../wasm/mod.ts";

/** Where a text ends: before the stop string that is complete first, the longest of several. */
function cut(text: string, stop: readonly string[]): { text: string; stop: string | undefined } {
  for (let end = 1; end <= text.length; end++) {
    const found = stop.filter((candidate) => text.slice(0, end).endsWith(candidate));
    found.sort((a, b) => b.length - a.length);
    if (found[0] !== undefined) return { text: text.slice(0, end - found[0].length), stop: found[0] };
  }
  return { text, stop: undefined };
}

/** The most that may be given out of a text without a stop string: all but a longest beginning of one at its end. */
function certain(text: string, stop: readonly string[]): string {
  for (let begin = 0; begin < text.length; begin++) {
    if (stop.some((candidate) => candidate.startsWith(text.slice(begin)))) return text.slice(0, begin);
  }
  return text;
}

const letters = fc.string({ unit: fc.constantFrom("a", "b", "é", "😀"), maxLength: 12 });
const stops = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "é", "😀"), minLength: 1, maxLength: 5 }), {
  maxLength: 3,
});

Deno.test("StopFilter ends a text before the stop string that is complete first, however the text is cut up", () => {
  fc.assert(fc.property(fc.array(letters, { maxLength: 8 }), stops, (pieces, stop) => {
    const filter = new StopFilter(stop);
    const out = pieces.map((piece) => filter.push(piece)).join("") + filter.flush();
    assertEquals({ text: out, stop: filter.stop }, cut(pieces.join(""), stop));
  }));
});

Deno.test("StopFilter gives text out as early as it can", () => {
  fc.assert(fc.property(fc.array(letters, { maxLength: 8 }), stops, (pieces, stop) => {
    const filter = new StopFilter(stop);
    let text = "";
    let out = "";
    for (const piece of pieces) {
      text += piece;
      out += filter.push(piece);
      if (filter.stop !== undefined) return;
      assertEquals(out, certain(text, stop));
    }
  }));
});

Deno.test("StopFilter is linear in the text", () => {
  const filter = new StopFilter(["a".repeat(2000) + "b"]);
  let length = 0;
  for (let index = 0; index < 20_000; index++) length += filter.push("a".repeat(10)).length;
  assertEquals(length, 200_000 - 2000);
});

Deno.test("StopFilter refuses a stop string that is empty or half a character", () => {
  assertThrows(() => new StopFilter([""]), TypeError, "at least one character");
  assertThrows(() => new StopFilter(["\ud83d"]), TypeError, "well-formed");
});

const json = await Deno.readFile(new URL("../testdata/pg-nano-yarn-2k/tokenizer.json", import.meta.url));
const openTokenizer = () => new Tokenizer(CoreTokenizer.fromJson(json), "tokenizer.json");

Deno.test("TextStream gives the text of decode(), without a broken character on the way", () => {
  using tokenizer = openTokenizer();
  fc.assert(fc.property(fc.array(fc.nat(tokenizer.vocabSize - 1), { maxLength: 40 }), (ids) => {
    using stream = new TextStream(tokenizer, { skipSpecialTokens: false });
    assertEquals(ids.map((id) => stream.push(id)).join("") + stream.flush(), tokenizer.decode(ids));
  }));
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    using stream = new TextStream(tokenizer, { skipSpecialTokens: false });
    const pieces = Array.from(tokenizer.encode(text, { addSpecialTokens: false }), (id) => stream.push(id));
    assert(text.includes("\ufffd") || !pieces.some((piece) => piece.includes("\ufffd")));
    assertEquals(pieces.join("") + stream.flush(), text);
  }));
});

Deno.test("TextStream leaves special tokens out unless told otherwise", () => {
  using tokenizer = openTokenizer();
  const ids = tokenizer.encode("a</s>b");
  using without = new TextStream(tokenizer);
  using whole = new TextStream(tokenizer, { skipSpecialTokens: false });
  assertEquals(Array.from(ids, (id) => without.push(id)).join(""), "ab");
  assertEquals(Array.from(ids, (id) => whole.push(id)).join(""), "<s>a</s>b");
});

Deno.test("TextStream stops inside of a token", () => {
  using tokenizer = openTokenizer();
  using stream = new TextStream(tokenizer, { stop: ["lo w"] });
  const text = Array.from(tokenizer.encode("Hello world"), (id) => stream.push(id)).join("") + stream.flush();
  assertEquals([text, stream.stopped], ["Hel", true]);
});

Deno.test("TextStream outlives its tokenizer and says when it is disposed of", () => {
  const tokenizer = openTokenizer();
  const ids = tokenizer.encode("hello", { addSpecialTokens: false });
  const stream = new TextStream(tokenizer);
  tokenizer.dispose();
  assertEquals(Array.from(ids, (id) => stream.push(id)).join("") + stream.flush(), "hello");
  stream.dispose();
  assertThrows(() => stream.push(1), TypeError, "disposal");
});
