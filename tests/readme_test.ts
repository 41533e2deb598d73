import { assert, assertEquals } from "@std/assert";
import { inspectModel } from "../mod.ts";

const MODEL = new URL("testdata/yarn-llama-2-7b-64k", import.meta.url).pathname;

/** Tokens of a prefill pass on a GPU; a software adapter takes fewer, whose activations need less memory. */
const PREFILL_CHUNK = 512;

Deno.test("the README's table is the plan of Yarn-Llama-2-7b-64k, within 1%", async () => {
  const readme = await Deno.readTextFile(new URL("../README.md", import.meta.url));
  const rows = [...readme.matchAll(/^\| (bf16|q8|q4) +\| (f16|q8|q4) +\| +([\d.]+) \| +([\d.]+) \| +([\d.]+) \|$/gm)];
  assertEquals(rows.length, 9);
  for (const [, weights, kvCache, ...cells] of rows) {
    for (const [i, contextLength] of [16384, 32768, 65536].entries()) {
      const { plan } = await inspectModel(MODEL, {
        weights: weights === "bf16" ? "auto" : weights as "q8" | "q4",
        kvCache: kvCache as "f16" | "q8" | "q4",
        contextLength,
        prefillChunk: PREFILL_CHUNK,
      });
      const planned = plan[0]!.totalBytes / 1e9;
      assert(Math.abs(Number(cells[i]) / planned - 1) < 0.01, `${weights} ${kvCache} at ${contextLength}: ${planned}`);
    }
  }
});
