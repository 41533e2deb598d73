import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { perplexityTextPlot } from "../../src/eval/text_plot.ts";

const row = (scaling: string, contextLength: number, perplexity: number) => ({
  ...{ scaling, contextLength, perplexity },
  ...{ tokenPerplexity: perplexity, tokens: 256, windows: 1 },
});

Deno.test("perplexityTextPlot() draws a mark for each scaling and length, with values and names", () => {
  const rows = [row("none", 256, 50), row("none", 512, 200), row("yarn:8", 256, 50), row("yarn:8", 512, 50)];
  assertEquals(
    perplexityTextPlot(rows),
    ` 200 │             ●
     │
     │
 141 │
     │
     │
 100 │
     │
     │
70.7 │
     │
     │
  50 │    ●        ▲
     └──────────────────
         256      512
      ● none   ▲ yarn:8
`,
  );
});

Deno.test("perplexityTextPlot() puts the highest perplexity on the first line and the lowest on the last", () => {
  fc.assert(fc.property(fc.array(fc.double({ min: 1, max: 1e6, noNaN: true }), { minLength: 2 }), (values) => {
    const lines = perplexityTextPlot(values.map((value, i) => row("none", 2 + i, value))).split("\n");
    const bodies = lines.filter((line) => line.includes("│"));
    assertEquals(bodies.length, 13);
    const marks = bodies.map((line) => line.split("●").length - 1);
    assertEquals(marks.reduce((a, b) => a + b), values.length);
    // Of values nearer to each other, the logarithms may be equal.
    if (Math.max(...values) > (1 + 1e-9) * Math.min(...values)) assert(marks[0]! > 0 && marks.at(-1)! > 0);
  }));
});

Deno.test("perplexityTextPlot() draws nothing of nothing", () => {
  assertEquals(perplexityTextPlot([]), "");
  assertEquals(perplexityTextPlot([{ ...row("none", 256, 3), positions: [0, 5] }, row("none", 256, Infinity)]), "");
});
