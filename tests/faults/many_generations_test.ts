import { assert } from "@std/assert";
import { growth, manyGenerations } from "./many_generations.ts";

Deno.test("many generations in one process leave no buffer and no memory behind", async () => {
  const samples = await manyGenerations(120, 12);
  assert(growth(samples, "buffers") <= 0.04, JSON.stringify(samples));
  assert(growth(samples, "residentBytes") <= 0.02, JSON.stringify(samples));
});
