import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { chooseDocuments, parseJsonLines } from "../../src/eval/documents.ts";

Deno.test("parseJsonLines() gives back every text that JSON can hold", () => {
  fc.assert(fc.property(fc.array(fc.string({ unit: "binary" })), (texts) => {
    const content = texts.map((text) => JSON.stringify({ id: 1, text })).join("\n");
    assertEquals(parseJsonLines("a.jsonl", content, "text").map(({ text }) => text), texts);
  }));
});

Deno.test("parseJsonLines() names documents by line and takes the field that is asked for", () => {
  const content = '{"body": "one"}\r\n\n{"body": "three"}\n';
  assertEquals(parseJsonLines("a.jsonl", content, "body"), [
    { name: "a.jsonl:1", text: "one" },
    { name: "a.jsonl:3", text: "three" },
  ]);
});

const BROKEN: readonly (readonly [string, string])[] = [
  ["{", "Cannot read a.jsonl:2:"],
  ['{"txt": "x"}', 'Cannot read a.jsonl:2: field "text" is missing'],
  ['{"text": 5}', 'field "text" is number'],
  ['{"text": null}', 'field "text" is null'],
  ["null", 'field "text" is missing'],
  ["7", 'field "text" is missing'],
];
for (const [line, message] of BROKEN) {
  Deno.test(`parseJsonLines() refuses the line ${line}`, () => {
    assertThrows(() => parseJsonLines("a.jsonl", `{"text": ""}\n${line}`, "text"), SyntaxError, message);
  });
}

Deno.test("chooseDocuments() skips those that are too short, then takes the first", () => {
  const documents = [5, 1, 9, 7].map((length) => ({ name: String(length), tokens: new Uint32Array(length) }));
  const names = (choice?: Parameters<typeof chooseDocuments>[1]) => {
    const { kept, skipped } = chooseDocuments(documents, choice);
    return [kept.map(({ name }) => name).join(), skipped.map(({ name }) => name).join()];
  };
  assertEquals(names(), ["5,9,7", "1"]);
  assertEquals(names({ minTokens: 7 }), ["9,7", "5,1"]);
  assertEquals(names({ minTokens: 6, samples: 1 }), ["9", "5,1"]);
});
