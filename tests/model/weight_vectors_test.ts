import { assertEquals } from "@std/assert";
import { readVector } from "../../src/model/weight_vectors.ts";

const everyHalf = Uint16Array.from({ length: 65536 }, (_, i) => i);

Deno.test("readVector() reads every f16", () => {
  const exact = Float32Array.from(new Float16Array(everyHalf.buffer));
  assertEquals([...readVector(new Uint8Array(everyHalf.buffer), "F16", 0)], [...exact]);
});

Deno.test("readVector() reads every bf16", () => {
  const exact = new Float32Array(Uint32Array.from(everyHalf, (bits) => bits * 2 ** 16).buffer);
  assertEquals([...readVector(new Uint8Array(everyHalf.buffer), "BF16", 0)], [...exact]);
});

Deno.test("readVector() reads f32 at any alignment", () => {
  const values = Float32Array.of(1, -2.5, Math.PI);
  const bytes = new Uint8Array(13);
  bytes.set(new Uint8Array(values.buffer), 1);
  assertEquals(readVector(bytes.subarray(1), "F32", 0), values);
});

Deno.test("readVector() puts interleaved pairs into halves of heads", () => {
  const values = Float32Array.of(0, 4, 1, 5, 2, 6, 3, 7, 10, 14, 11, 15, 12, 16, 13, 17);
  assertEquals(
    [...readVector(new Uint8Array(values.buffer), "F32", 4)],
    [0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17],
  );
});
