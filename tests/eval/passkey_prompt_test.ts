import { assertEquals } from "@std/assert";
import { passkeyPrompt } from "../../src/eval/passkey_prompt.ts";

Deno.test("passkeyPrompt() writes the five lines of eval/passkey.py, each filler from its beginning", () => {
  assertEquals(
    passkeyPrompt({ key: "12345", before: 22, after: 100 }).split("\n"),
    [
      "There is an important info hidden inside a lot of irrelevant text. Find it and memorize them. " +
      "I will quiz you about the important information there.",
      "The grass is green. Th",
      "The pass key is 12345. Remember it. 12345 is the pass key.",
      "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again. The grass is g",
      "What is the pass key? The pass key is",
    ].map((line, i) => i === 3 ? line.slice(0, 100) : line),
  );
});
