import { assert, assertEquals, assertThrows } from "@std/assert";
import { CapacityError } from "../../src/errors.ts";
import type { ModelConfig } from "../../src/model/config.ts";
import type { KvFormat } from "../../src/kernels/kv_formats.ts";
import { KvCache, kvCacheBytes, maxKvCapacity } from "../../src/model/kv_cache.ts";
import { gpu, randomFloats } from "../wgsl/fixture.ts";

const config = { nLayers: 2, nKvHeads: 3, headDim: 8 } as ModelConfig;

for (const format of ["f32", "f16"] as KvFormat[]) {
  Deno.test(`KvCache keeps each head's tokens when it grows, ${format}`, async () => {
    const cache = new KvCache(gpu, config, format, 1000);
    assertEquals(cache.reserve(5), true);
    const before = cache.capacity;
    const words = format === "f32" ? 8 : 4;
    const contents = new Uint32Array(randomFloats(3 * before * words, 7).buffer);
    gpu.upload(cache.layers[1]!.v, contents);
    assertEquals(cache.reserve(before), false);
    assertEquals(cache.reserve(before + 1), true);
    assert(cache.capacity >= 2 * before, `Expected to double, got ${cache.capacity}`);
    const grown = new Uint32Array((await gpu.read(cache.layers[1]!.v)).buffer);
    for (let head = 0; head < 3; head++) {
      const old = contents.subarray(head * before * words, (head + 1) * before * words);
      const start = head * cache.capacity * words;
      assertEquals(grown.slice(start, start + old.length), old);
    }
    assertEquals(cache.byteLength, kvCacheBytes(config, format, cache.capacity));
    cache.dispose();
    assertEquals(cache.byteLength, 0);
  });
}

Deno.test("KvCache grows up to its limit and refuses more with both numbers", () => {
  const cache = new KvCache(gpu, config, "f16", 300);
  cache.reserve(300);
  assertEquals(cache.capacity, 300);
  const error = assertThrows(() => cache.reserve(301), CapacityError, "301 tokens");
  assertEquals([error.requested, error.available, error.unit], [301, 300, "tokens"]);
  cache.dispose();
});

Deno.test("maxKvCapacity() is the largest capacity whose tensors fit", () => {
  const bytes = 100_000;
  const most = maxKvCapacity(config, "f32", bytes);
  assert(most * 3 * 8 * 4 <= bytes && (most + 1) * 3 * 8 * 4 > bytes);
});
