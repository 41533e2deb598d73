import { assert, assertEquals } from "@std/assert";
import { proofPilePerplexity, PUBLISHED_MODELS } from "../../src/eval/published.ts";

Deno.test("proofPilePerplexity() has the model card's figures", () => {
  const figures = [2048, 8192, 32768, 65536].map((length) => proofPilePerplexity("Yarn-Llama-2-7b-64k", length));
  assertEquals(figures, [4.1407, 3.5065, 2.6547, 2.4217]);
  assertEquals(proofPilePerplexity("Yarn-Llama-2-7b-64k", 131072), undefined);
  assertEquals(proofPilePerplexity("Yarn-Llama-2-7b-64k", 3000), undefined);
});

Deno.test("proofPilePerplexity() falls up to the length that a model was extended to, and rises past it", () => {
  for (const model of PUBLISHED_MODELS) {
    const limit = model.endsWith("-64k") ? 65536 : 131072;
    const short = [2048, 4096, 8192, 16384, 32768, 65536].map((length) => proofPilePerplexity(model, length)!);
    assertEquals(short, short.toSorted((a, b) => b - a));
    const beyond = proofPilePerplexity(model, 81920)!;
    assert(limit === 65536 ? beyond > short.at(-1)! : beyond < short.at(-1)!);
  }
});
