import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { listAxis, valueAxis } from "../../src/eval/log_axis.ts";

const labels = (values: number[]) => {
  const axis = valueAxis(values, 0, 100);
  return axis.ticks.map((tick) => axis.label(tick));
};

Deno.test("valueAxis() labels round numbers, as many as the range bears", () => {
  assertEquals(labels([3, 1e6]), ["10", "100", "1000", "10000", "100000", "1000000"]);
  assertEquals(labels([45.9, 248.6]), ["50", "70", "100", "150", "200"]);
  assertEquals(labels([2.42, 4.14]), ["2.5", "3.0", "3.5", "4.0"]);
  assertEquals(labels([45.9, 48.17]), ["46", "47", "48"]);
  assertEquals(labels([1, 1e12]).length, 7);
});

Deno.test("valueAxis() keeps every value inside, higher ones further, with three to nine labels", () => {
  const value = fc.double({ min: 1, max: 1e9, noNaN: true });
  fc.assert(fc.property(fc.array(value, { minLength: 1 }), (values) => {
    const { ticks, label, at } = valueAxis(values, 300, 0);
    assert(ticks.length >= 3 && ticks.length <= 9, ticks.join());
    assertEquals(new Set(ticks.map(label)).size, ticks.length);
    for (const each of [...values, ...ticks]) assert(at(each) >= 0 && at(each) <= 300, String(each));
    const sorted = values.toSorted((a, b) => a - b).map(at);
    assertEquals(sorted, sorted.toSorted((a, b) => b - a));
  }));
});

Deno.test("listAxis() begins and ends with its values, and leaves out labels that would touch", () => {
  const axis = listAxis([4096, 256, 300, 512, 256], 0, 400, 40);
  assertEquals([axis.at(256), axis.at(1024), axis.at(4096)], [0, 200, 400]);
  assertEquals(axis.ticks, [256, 512, 4096]);
  assertEquals(listAxis([256], 0, 400, 40).at(256), 200);
});
