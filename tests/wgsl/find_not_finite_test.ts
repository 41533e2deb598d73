import { assert, assertEquals } from "@std/assert";
import { disposeMatrix, WEIGHT_FORMATS } from "../../src/gpu/matrix.ts";
import { findNotFinite, NOT_FINITE } from "../../src/kernels/find_not_finite.ts";
import { decodeWeights, type StoredWeights } from "../reference/weight_formats.ts";
import { gpu, random } from "./fixture.ts";
import { matrixOf, randomWeights } from "./weights.ts";

/** What the kernel notes of each of the tensors that begin at these rows. */
async function search(stored: StoredWeights, begins: readonly number[], partRows?: number): Promise<number[]> {
  const matrix = matrixOf(stored, partRows);
  using faults = gpu.createTensor("faults", "u32", [begins.length]);
  const recorder = gpu.record();
  begins.forEach((rowOffset, faultIndex) => {
    const rows = (begins[faultIndex + 1] ?? stored.rows) - rowOffset;
    findNotFinite(recorder, { matrix, rowOffset, rows, faults, faultIndex });
  });
  await gpu.run(recorder);
  const found = [...new Uint32Array((await gpu.read(faults)).buffer)];
  disposeMatrix(matrix);
  return found;
}

for (const format of WEIGHT_FORMATS) {
  Deno.test(`find_not_finite finds what the twin decodes to no number, and nothing else: ${format}`, async () => {
    const next = random(5);
    let nFound = 0;
    for (let turn = 0; turn < (format === "q3k" ? 96 : 24); turn++) {
      const stored = randomWeights(format, 11, 256, turn);
      const words = turn % 2 === 0 || stored.scales.length < 11 ? stored.weight : stored.scales;
      const at = Math.floor((next() + 1) / 2 * words.length);
      // All exponent bits of an f32 or of either half, or an f16's NaN; then once with none of them.
      words[at] = words[at]! | [0x7f800000, 0x7c00, 0x7c000000, 0x7e00, 0x7f807f80, 0][Math.floor(turn / 2) % 6]!;
      const isFinite = decodeWeights(stored).every(Number.isFinite);
      if (!isFinite) nFound++;
      const row = Math.floor(at / (words.length / 11));
      const expected = [0, 3, 4].map((begin, i, begins) =>
        !isFinite && row >= begin && row < (begins[i + 1] ?? 11) ? NOT_FINITE : 0
      );
      assertEquals(await search(stored, [0, 3, 4], turn % 4 < 2 ? undefined : 4), expected, `turn ${turn}`);
    }
    assert(nFound > 0, "Expected some of the matrices to hold what is no number");
  });
}

Deno.test("find_not_finite looks at every word of a long matrix", async () => {
  const stored = randomWeights("f16", 2500, 256, 1);
  for (const at of [0, 1023, 1024, 63, stored.weight.length - 1]) {
    const kept = stored.weight[at]!;
    stored.weight[at] = 0xfc00;
    assertEquals(await search(stored, [0]), [NOT_FINITE]);
    stored.weight[at] = kept;
  }
  assertEquals(await search(stored, [0]), [0]);
});
