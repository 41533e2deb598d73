import { assert, assertEquals } from "@std/assert";
import { masses as twin } from "../reference/sample.ts";
import { drawMany, normals, PLAIN } from "./selection_fixture.ts";

for (const vocabSize of [1, 97, 4097, 49152]) {
  Deno.test(`sample_mass makes masses of ${vocabSize} logits within 1e-5 of the exact ones`, async () => {
    const logits = normals(vocabSize, 5, 3);
    for (const temperature of [0.3, 1, 2.5]) {
      const { masses } = await drawMany(logits, { ...PLAIN, temperature }, 1);
      const exact = twin(logits, temperature);
      for (const [i, mass] of masses.entries()) {
        const allowed = 0.5 + 1e-5 * exact[i]!;
        assert(Math.abs(mass - exact[i]!) <= allowed, `Mass ${mass} of token ${i} should be ${exact[i]}`);
      }
      assertEquals(Math.max(...masses), 2 ** 31);
    }
  });
}

Deno.test("sample_mass takes logits whose difference is over the f32 range", async () => {
  for (const temperature of [1e-4, 1, 100]) {
    const { masses } = await drawMany(Float32Array.of(-3.4e38, 3.4e38, 0, 3.4e38), { ...PLAIN, temperature }, 1);
    assertEquals([...masses], [0, 2 ** 31, 0, 2 ** 31]);
  }
});
