import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { FormatError, loadModel } from "../../mod.ts";

const TINY = new URL("../testdata/tiny/yarn_rope_scaling", import.meta.url).pathname;
const TOKENS = Array.from({ length: 90 }, (_, i) => (i * 37) % 250);

Deno.test("Model.scaleRope() gives the logprobs of a model that was loaded with the scaling, and the own ones back", async () => {
  using model = await loadModel(TINY, { weights: "f32" });
  const own = await model.score(TOKENS);
  for (const ropeScaling of ["none", { rope_type: "linear", factor: 4 }] as const) {
    assertEquals(model.scaleRope(ropeScaling), model.rope);
    using loaded = await loadModel(TINY, { weights: "f32", ropeScaling });
    const scaled = await model.score(TOKENS);
    assertEquals(scaled.logprobs, (await loaded.score(TOKENS)).logprobs);
    assert(scaled.perplexity !== own.perplexity);
  }
  model.scaleRope();
  assertEquals((await model.score(TOKENS)).logprobs, own.logprobs);
});

Deno.test("Model.scaleRope() refuses an unknown scaling and keeps the one it has", async () => {
  using model = await loadModel(TINY, { weights: "f32" });
  const before = model.rope;
  assertThrows(() => model.scaleRope({ rope_type: "stretched", factor: 4 }), FormatError, '"stretched"');
  assertEquals(model.rope, before);
});

Deno.test("Model.scaleRope() is refused while a session or a score holds rotated keys", async () => {
  using model = await loadModel(TINY, { weights: "f32" });
  {
    using _session = model.createSession();
    assertThrows(() => model.scaleRope("none"), TypeError, "while sessions exist");
  }
  const scoring = model.score(TOKENS);
  assertThrows(() => model.scaleRope("none"), TypeError, "while sessions exist");
  await scoring;
  assertEquals(model.scaleRope("none").type, "none");
  await assertRejects(() => model.score([1]), RangeError, "at least 2");
  assertEquals(model.scaleRope().type, "yarn");
});
