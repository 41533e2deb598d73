import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { perplexityCsv, perplexityPlot } from "../../src/eval/report.ts";

const row = (scaling: string, contextLength: number, perplexity: number) => ({
  scaling,
  contextLength,
  perplexity,
  tokenPerplexity: perplexity + 1,
  tokens: 256,
  windows: 1,
});

Deno.test("perplexityCsv() writes a header and a line for each row, and quotes what needs it", () => {
  const rows = [row("yarn:8", 256, 48.5), { ...row('{"a": 1, "b": 2}', 512, 3), positions: [0, 256] as const }];
  assertEquals(
    perplexityCsv(rows),
    `scaling,context_length,from_position,to_position,perplexity,token_perplexity,tokens,windows
yarn:8,256,,,48.5,49.5,256,1
"{""a"": 1, ""b"": 2}",512,0,256,3,4,256,1
`,
  );
});

/** Points of the first line, as numbers. */
function pointsOf(svg: string): number[][] {
  const [, points] = /points="([^"]*)"/.exec(svg)!;
  return points!.split(" ").map((point) => point.split(",").map(Number));
}

Deno.test("perplexityPlot() draws a line a scaling, higher for a higher perplexity, inside the picture", () => {
  const values = fc.array(fc.double({ min: 1, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 12 });
  fc.assert(fc.property(values, (perplexities) => {
    const rows = perplexities.map((perplexity, i) => row("none", 256 * 2 ** i, perplexity));
    const points = pointsOf(perplexityPlot(rows, "A title"));
    assertEquals(points.length, rows.length);
    for (const [i, [x, y]] of points.entries()) {
      assert(x! >= 64 && x! <= 530 && y! >= 44 && y! <= 388, `${x} ${y}`);
      if (i === 0) continue;
      assert(x! > points[i - 1]![0]!);
      if (perplexities[i]! > perplexities[i - 1]!) assert(y! <= points[i - 1]![1]!);
    }
  }));
});

Deno.test("perplexityPlot() names scalings, lengths and the title, with what XML reserves escaped", () => {
  const svg = perplexityPlot([row('<"yarn" & more>', 256, 40), row("none", 256, 50), row("none", 512, 120)], "a < b");
  for (const part of ["&lt;&quot;yarn&quot; &amp; more&gt;", ">none<", ">256<", ">512<", "<title>a &lt; b</title>"]) {
    assertStringIncludes(svg, part);
  }
  assertEquals(svg.match(/<polyline /g)?.length, 2);
  assertEquals(svg.match(/<(g|text|title|svg)[ >]/g)?.length, svg.match(/<\/(g|text|title|svg)>/g)?.length);
});
