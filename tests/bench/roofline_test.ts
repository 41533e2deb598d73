import { assert, assertEquals } from "@std/assert";
import { rooflineSvg } from "../../bench/gpu/roofline.ts";

const CEILINGS = { copyGbPerS: 1000, fmaGflopPerS: 10000 };

Deno.test("a kernel at the ceiling stands on the roof, and names are escaped", () => {
  const row = { kernel: "matvec_shared.q4", shape: "a < b", ms: 1, bestMs: 1, shareOfCeiling: 1 };
  const svg = rooflineSvg("A & B", CEILINGS, [{ ...row, flops: 4e9, bytes: 1e9 }]);
  assert(svg.includes("A &amp; B") && svg.includes("a &lt; b"));
  // 4 operations a byte at 1000 GB/s are 4000 GFLOP/s: the point lies between the roof's first and second corner.
  const [x0, y0, x1, y1] = /polyline[^>]*points="([\d.]+),([\d.]+) ([\d.]+),([\d.]+)/.exec(svg)!.slice(1).map(Number);
  const [x, y] = /circle class="f0" cx="([\d.]+)" cy="([\d.]+)" r="4.5"><title>/.exec(svg)!.slice(1).map(Number);
  const onRoof = y0! + (y1! - y0!) * (x! - x0!) / (x1! - x0!);
  assert(Math.abs(onRoof - y!) < 0.2, `${y} is not on the roof, which is at ${onRoof}`);
});

Deno.test("rows that do not count operations are left out", () => {
  const row = { kernel: "silu_mul", shape: "512 x 1536", ms: 1, bestMs: 1, shareOfCeiling: 1 };
  const svg = rooflineSvg("device", CEILINGS, [row, { ...row, kernel: "matvec_direct.q4" }]);
  assertEquals(svg.match(/<title>/g), null);
});
