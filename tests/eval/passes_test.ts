import { assertEquals, assertThrows } from "@std/assert";
import { jobName, type Part, planJobs } from "../../src/eval/passes.ts";
import { ScriptedScorer } from "./scripted_scorer.ts";

const model = new ScriptedScorer(() => -1);
const book = { name: "book", tokens: new Uint32Array(100) };
const names = (jobs: ReturnType<typeof planJobs>) => jobs.map(({ scaling, length }) => `${scaling.name} ${length}`);

Deno.test("planJobs() goes scaling by scaling, its lengths and then its buckets", () => {
  const scalings = [{ name: "a", scaling: "none" as const }, { name: "b", scaling: undefined }];
  const windowEnds = [{ document: 0, end: 90 }, { document: 0, end: 100 }];
  const jobs = planJobs(model, [book], { lengths: [16, 32], scalings, windowEnds, buckets: [0, 8, 64] });
  assertEquals(names(jobs), ["a 16", "a 32", "a 64", "b 16", "b 32", "b 64"]);
  assertEquals(jobs[2]!.passes.map(({ begin, end, scored }) => [begin, end, scored]), [[26, 90, 64], [36, 100, 64]]);
});

Deno.test("planJobs() takes documents one after the other", () => {
  const letter = { name: "letter", tokens: new Uint32Array(10) };
  const [job] = planJobs(model, [book, letter], { lengths: [81], stride: 15 });
  assertEquals(job!.passes.map(({ document, scored }) => [document.name, scored]), [
    ["book", 80],
    ["book", 15],
    ["book", 5],
    ["letter", 10],
  ]);
});

Deno.test("jobName() tells scalings, lengths and buckets apart, and not the names that users give", () => {
  const [none, own] = ["none" as const, undefined];
  const linear = { rope_type: "linear", factor: 8 };
  const whole: Part[] = [{ last: Infinity }];
  const split: Part[] = [{ positions: [0, 32], last: Infinity }, { positions: [32, 64], last: Infinity }];
  const nameOf = (name: string, scaling: typeof none | typeof own | typeof linear, length: number, parts = whole) =>
    jobName({ scaling: { name, scaling }, length, parts, passes: [] });
  const all = [nameOf("x", none, 64), nameOf("x", own, 64), nameOf("x", linear, 64), nameOf("x", linear, 128)];
  const parted = [split, split.slice(1), [{ last: 256 }, ...split]].map((parts) => nameOf("x", linear, 64, parts));
  assertEquals(new Set([...all, ...parted]).size, 7);
  assertEquals(nameOf("y", linear, 64), nameOf("x", linear, 64));
});

Deno.test("planJobs() refuses a scaling's length that is not in the context", () => {
  assertThrows(() => planJobs(model, [book], { lengths: [4097] }), RangeError, "length 4097");
});

Deno.test("planJobs() takes the paper's stride of 256, and smaller windows side by side", () => {
  const novel = { name: "novel", tokens: new Uint32Array(1000) };
  const jobs = planJobs(model, [novel], { lengths: [64, 256, 512] });
  const strides = jobs.map(({ passes: [first, second] }) => second!.begin - first!.begin);
  assertEquals(strides, [63, 255, 256]);
});

Deno.test("planJobs() takes a row of the buckets' length from their passes", () => {
  const windowEnds = [{ document: 0, end: 90 }];
  const jobs = planJobs(model, [book], { lengths: [64, 16], windowEnds, buckets: [0, 8, 64] });
  assertEquals(names(jobs), ["own 16", "own 64"]);
  assertEquals(jobs[1]!.parts.map(({ positions, last }) => positions ?? last), [256, [0, 8], [8, 64]]);
});
