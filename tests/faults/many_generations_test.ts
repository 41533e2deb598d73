import { assert } from "@std/assert";
import { growth, manyGenerations } from "./many_generations.ts";

Deno.test("many generations in one process leave no buffer behind", async () => {
  const samples = await manyGenerations(120, 12);
  assert(growth(samples, "buffers") <= 0.04, JSON.stringify(samples));
  assert(growth(samples, "bufferBytes") <= 0.04, JSON.stringify(samples));
});
