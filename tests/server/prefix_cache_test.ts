import { assert, assertEquals, assertThrows } from "@std/assert";
import { CapacityError, loadModel } from "../../mod.ts";
import { PrefixCache } from "../../src/server/prefix_cache.ts";

const TINY = new URL("../testdata/tiny/gqa_tied", import.meta.url).pathname;
const ids = (length: number, first: number = 0) => Array.from({ length }, (_, i) => (first + i * 37) % 250);

Deno.test("PrefixCache gives the session that begins most alike, as it is or as a copy", async () => {
  using model = await loadModel(TINY, { weights: "f32" });
  const cache = new PrefixCache(model, 2);
  const first = cache.take(ids(40));
  assertEquals(first.cached, 0);
  const { tokens } = await first.session.generate({ maxTokens: 4 }).result;
  cache.give(first.session);

  const longer = [...ids(40), ...tokens, 7, 8];
  const next = cache.take(longer);
  assertEquals([next.session === first.session, next.cached], [true, 44]);
  const expected = (await model.generate(longer, { maxTokens: 4 }).result).tokens;
  assertEquals((await next.session.generate({ maxTokens: 4 }).result).tokens, expected);
  cache.give(next.session);

  const branched = [...ids(30), 9, 9, 9];
  const copy = cache.take(branched);
  assert(copy.session !== first.session);
  assertEquals([copy.cached, cache.size], [30, 1]);
  const alone = (await model.generate(branched, { maxTokens: 4 }).result).tokens;
  assertEquals((await copy.session.generate({ maxTokens: 4 }).result).tokens, alone);
  cache.give(copy.session);

  assertEquals(cache.take(ids(10)).cached, 0);
  assertEquals(cache.size, 2);
  cache.clear();
});

Deno.test("PrefixCache keeps no more than it may, and frees what a prompt that does not fit took", async () => {
  using model = await loadModel(TINY, { weights: "f32", contextLength: 64 });
  const cache = new PrefixCache(model, 1);
  const [a, b] = [cache.take(ids(20)).session, cache.take(ids(20, 5)).session];
  cache.give(a);
  cache.give(b);
  assertEquals(cache.size, 1);
  assertThrows(() => a.generate(), TypeError, "disposed");
  assertThrows(() => cache.take(ids(65)), CapacityError);
  assertThrows(() => cache.take([...ids(20, 5), 1e6]), RangeError);
  cache.clear();
  // Which a session that is left would forbid.
  model.scaleRope();
});
