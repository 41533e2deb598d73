import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { fillerCharacters, passkey, passkeyTrials } from "../../src/eval/passkey.ts";
import { passkeyPrompt } from "../../src/eval/passkey_prompt.ts";
import { ScriptedScorer } from "./scripted_scorer.ts";

const { tokenizer } = new ScriptedScorer(() => -1);
const tokensOf = (filler: number) =>
  tokenizer.encode(passkeyPrompt({ key: "50000", before: filler / 2, after: filler / 2 })).length;

/** The loop of eval/passkey.py: the last number of characters before the prompt has the tokens. */
function grownFiller(length: number): number {
  let last = 0;
  for (let n = 0; tokensOf(n) < length; n += 128) last = n;
  return last;
}

Deno.test("fillerCharacters() is what growing by 128 characters comes to", () => {
  fc.assert(fc.property(fc.integer({ min: tokensOf(0) + 1, max: 5000 }), (length) => {
    assertEquals(fillerCharacters(tokenizer, length), grownFiller(length));
  }));
  assertThrows(() => fillerCharacters(tokenizer, tokensOf(0)), RangeError, "Cannot hide a key in");
});

Deno.test("passkeyTrials() draws keys from 1 to 50000 and depths at random, the same for the same seed", () => {
  const options = { lengths: [1000, 2000], iterations: 50, seed: 3 };
  const trials = passkeyTrials(tokenizer, options);
  assertEquals(trials.length, 100);
  for (const { contextLength, key, before, after, depth } of trials) {
    assert(Number(key) >= 1 && Number(key) <= 50000 && String(Number(key)) === key);
    assertEquals(before + after, fillerCharacters(tokenizer, contextLength));
    assertEquals(depth, before / (before + after));
  }
  assert(new Set(trials.map(({ before }) => before)).size > 80);
  assertEquals(passkeyTrials(tokenizer, options), trials);
  assert(passkeyTrials(tokenizer, { ...options, seed: 4 })[0]!.key !== trials[0]!.key);
});

Deno.test("passkeyTrials() spaces depths evenly where a number of them is given", () => {
  const depths = (count: number) =>
    passkeyTrials(tokenizer, { lengths: [2000], iterations: 2, depths: count }).map(({ depth }) => depth.toFixed(2));
  assertEquals(depths(3), ["0.00", "0.00", "0.50", "0.50", "1.00", "1.00"]);
  assertEquals(depths(1), ["0.50", "0.50"]);
});

Deno.test("passkey() takes the first number of the completion and nothing else for the answer", async () => {
  const trial = { contextLength: 100, key: "123", depth: 0, before: 0, after: 10 };
  const answer = async (text: string) => {
    const prompts: string[] = [];
    const [result] = await passkey({
      generate: (prompt, { maxTokens }) => {
        prompts.push(`${prompt} ${maxTokens}`);
        return { result: Promise.resolve({ text }) };
      },
    }, [trial]);
    assertEquals(prompts, [`${passkeyPrompt(trial)} 10`]);
    assertEquals(result!.answer, text);
    return result!.found;
  };
  assertEquals(await answer(" 123. Remember it. 99"), true);
  assertEquals(await answer(" 0123"), true);
  assertEquals(await answer(" 99, no, 123"), false);
  assertEquals(await answer(" 1234"), false);
  assertEquals(await answer(" the grass is green"), false);
});
