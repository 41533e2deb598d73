import { assert, assertEquals, assertRejects } from "@std/assert";
import { CapacityError } from "../../src/errors.ts";
import type { ModelConfig } from "../../src/model/config.ts";
import { KV_FORMATS } from "../../src/kernels/kv_formats.ts";
import { KvCache, kvCacheBytes, maxKvRows } from "../../src/model/kv_cache.ts";
import { gpu, randomFloats } from "../wgsl/fixture.ts";

const config = {
  nLayers: 2,
  nKvHeads: 3,
  headDim: 80,
  slidingWindow: undefined,
  slidingLayers: [] as readonly number[],
} as ModelConfig;

/** Words of one row of 80 in each region of a tensor: the elements, then scales of 3 groups, two to a word. */
const ROW_WORDS = { f32: [80], f16: [40], q8: [20, 2], q4: [10, 2] } as const;

for (const format of KV_FORMATS) {
  Deno.test(`KvCache keeps each head's tokens when it grows, ${format}`, async () => {
    const cache = new KvCache(gpu, config, format, 1000, 64);
    await cache.reserve(5);
    const before = cache.capacity;
    const contents = new Uint32Array(randomFloats(cache.layers[1]!.v.byteLength / 4, 7).buffer);
    gpu.upload(cache.layers[1]!.v, contents);
    await cache.reserve(before);
    assertEquals(cache.capacity, before);
    await cache.reserve(before + 1);
    assert(cache.capacity >= 2 * before, `Expected to double, got ${cache.capacity}`);
    const grown = new Uint32Array((await gpu.read(cache.layers[1]!.v)).buffer);
    let [from, to] = [0, 0];
    for (const words of ROW_WORDS[format]) {
      for (let head = 0; head < 3; head++) {
        const old = contents.subarray(from, from + before * words);
        assertEquals(grown.slice(to, to + old.length), old);
        from += before * words;
        to += cache.capacity * words;
      }
    }
    assertEquals([from, to], [contents.length, grown.length]);
    assertEquals(cache.byteLength, kvCacheBytes(config, format, cache.capacity, 64));
    cache.dispose();
    assertEquals(cache.byteLength, 0);
  });
}

Deno.test("KvCache grows up to its limit and refuses more with both numbers", async () => {
  const cache = new KvCache(gpu, config, "f16", 300, 64);
  await cache.reserve(300);
  assertEquals(cache.capacity, 300);
  const error = await assertRejects(() => cache.reserve(301), CapacityError, "301 tokens");
  assertEquals([error.requested, error.available, error.unit], [301, 300, "tokens"]);
  cache.dispose();
});

Deno.test("maxKvRows() is the largest capacity whose tensors fit", () => {
  const bytes = 100_000;
  const most = maxKvRows(config, "f32", bytes);
  assert(most * 3 * 80 * 4 <= bytes && (most + 1) * 3 * 80 * 4 > bytes);
  assertEquals(maxKvRows(config, "q4", bytes), Math.floor(bytes / (3 * (10 + 2) * 4)));
});
