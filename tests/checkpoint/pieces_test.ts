import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { planPieces } from "../../src/checkpoint/pieces.ts";

const range = (file: string, begin: number, rowBytes: number, rows: number) => ({ file, begin, rowBytes, rows });

Deno.test("planPieces() joins neighbours and skips what is far", () => {
  const [a, b, c] = [range("f", 100, 10, 5), range("f", 160, 20, 2), range("f", 1e6, 10, 1)] as const;
  assertEquals(planPieces([c, b, a], 1000), [
    {
      file: "f",
      begin: 100,
      end: 200,
      contents: [{ range: a, firstRow: 0, rows: 5, offset: 0 }, { range: b, firstRow: 0, rows: 2, offset: 60 }],
    },
    { file: "f", begin: 1e6, end: 1e6 + 10, contents: [{ range: c, firstRow: 0, rows: 1, offset: 0 }] },
  ]);
});

Deno.test("planPieces() cuts between rows", () => {
  const pieces = planPieces([range("f", 0, 30, 7)], 100);
  assertEquals(pieces.map(({ begin, end }) => [begin, end]), [[0, 90], [90, 180], [180, 210]]);
});

Deno.test("planPieces() gives a row that is longer than a piece one of its own", () => {
  const pieces = planPieces([range("f", 0, 300, 2)], 100);
  assertEquals(pieces.map(({ begin, end }) => [begin, end]), [[0, 300], [300, 600]]);
});

Deno.test("planPieces() keeps the ranges of a piece few enough for one submit", () => {
  const tiny = Array.from({ length: 3000 }, (_, i) => range("f", 4 * i, 4, 1));
  assertEquals(planPieces(tiny, 1e6).map(({ contents }) => contents.length), [1024, 1024, 952]);
});

Deno.test("planPieces() holds every row once, in bounds, whatever the ranges", () => {
  const ranges = fc.array(
    fc.record({
      file: fc.constantFrom("a", "b"),
      begin: fc.nat(300000),
      rowBytes: fc.integer({ min: 1, max: 500 }),
      rows: fc.integer({ min: 1, max: 50 }),
    }),
    { maxLength: 20 },
  );
  fc.assert(fc.property(ranges, fc.integer({ min: 1, max: 4000 }), (ranges, most) => {
    const seen = new Map(ranges.map((range) => [range, 0]));
    for (const { file, begin, end, contents } of planPieces(ranges, most)) {
      assert(end - begin <= most || contents.length === 1 && contents[0]!.rows === 1);
      for (const { range, firstRow, rows, offset } of contents) {
        assertEquals(range.file, file);
        assertEquals(begin + offset, range.begin + firstRow * range.rowBytes);
        assert(offset + rows * range.rowBytes <= end - begin);
        assertEquals(seen.get(range), firstRow);
        seen.set(range, firstRow + rows);
      }
    }
    for (const [{ rows }, count] of seen) assertEquals(count, rows);
  }));
});
