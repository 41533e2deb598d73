import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { passkeyCsv, perplexityCsv, perplexityPlot } from "../../src/eval/report.ts";

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

Deno.test("passkeyCsv() writes a line for each answer, whatever the model said", () => {
  const answer = { contextLength: 256, key: "14577", depth: 0.25, before: 10, after: 30 };
  assertEquals(
    passkeyCsv([
      { ...answer, answer: " 14577", found: true },
      { ...answer, answer: ' "no",\nit said', found: false },
    ]),
    `context_length,depth,key,answer,found
256,0.25,14577, 14577,true
256,0.25,14577," ""no"",
it said",false
`,
  );
});

type Four = [number, number, number, number];

/** Points of the first line, as numbers. */
function pointsOf(svg: string): number[][] {
  const [, points] = /points="([^"]*)"/.exec(svg)!;
  return points!.split(" ").map((point) => point.split(",").map(Number));
}

Deno.test("perplexityPlot() draws a line a scaling, higher for a higher perplexity, inside the picture", () => {
  const values = fc.array(fc.double({ min: 1, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 12 });
  fc.assert(fc.property(values, (perplexities) => {
    const rows = perplexities.map((perplexity, i) => row("none", 256 * 2 ** i, perplexity));
    const svg = perplexityPlot(rows, "A title");
    const [left, top, floor, right] = /<path class="axis" d="M(\d+) (\d+)V(\d+)H(\d+)"/.exec(svg)!.slice(1).map(
      Number,
    ) as Four;
    const points = pointsOf(svg);
    assertEquals(points.length, rows.length);
    for (const [i, [x, y]] of points.entries()) {
      assert(x! > left && x! <= right && y! >= top && y! <= floor, `${x} ${y}`);
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

Deno.test("perplexityPlot() has one key of the legend below the other, right of the plot, and long names in full", () => {
  const name = '{"rope_type":"linear","factor":8}';
  const rows = ["none", name, ...Array.from({ length: 20 }, (_, i) => `yarn:${i + 2}`)].map((each) =>
    row(each, 256, 9)
  );
  const svg = perplexityPlot(rows, "Many");
  const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg)!.map(Number) as Four;
  const right = Number(/<path class="axis" d="M\d+ \d+V\d+H(\d+)"/.exec(svg)![1]);
  const keys = [...svg.matchAll(/<text x="(\d+)" y="(\d+)" stroke="none"[^>]*>([^<]*)</g)];
  assertEquals(keys.length, rows.length);
  assertEquals(keys[1]![3], "{&quot;rope_type&quot;:&quot;linear&quot;,&quot;factor&quot;:8}");
  for (const [i, [, x, y]] of keys.entries()) {
    assert(Number(x) > right && Number(x) + 7 * name.length <= width && Number(y) < height, `${x} ${y}`);
    if (i > 0) assert(Number(y) >= Number(keys[i - 1]![2]) + 15);
  }
});

Deno.test("perplexityPlot() leaves out what is not finite, and draws axes even of nothing", () => {
  const svg = perplexityPlot([row("none", 256, Infinity), row("yarn:8", 256, 40)], "A title");
  assertEquals(svg.match(/<polyline /g)?.length, 1);
  for (const picture of [svg, perplexityPlot([row("none", 256, NaN)], "Nothing"), perplexityPlot([], "Nothing")]) {
    assert(!/NaN|Infinity|undefined/.test(picture), picture);
  }
});
