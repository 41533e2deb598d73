import { assertEquals, assertThrows } from "@std/assert";
import { defaultLengths, lengthsOption } from "../../src/cli/lengths.ts";
import { UsageError } from "../../src/cli/options.ts";

const read = (...values: string[]) => lengthsOption.read("--lengths", values);

Deno.test("--lengths reads lists, doubling rows and steps", () => {
  assertEquals(read(), undefined);
  assertEquals(read("512"), [512]);
  assertEquals(read("2048,256"), [2048, 256]);
  assertEquals(read("256..4096"), [256, 512, 1024, 2048, 4096]);
  assertEquals(read("300..1000"), [300, 600]);
  assertEquals(read("2048..8192+2048"), [2048, 4096, 6144, 8192]);
});

for (
  const value of ["", "a", "256,", "1", "0..8", "512..256", "2..8+0", "256,256", "-256", "1e3", "99999999999", "2.5"]
) {
  Deno.test(`--lengths refuses ${JSON.stringify(value)}`, () => {
    assertThrows(() => read(value), UsageError, `Cannot use --lengths ${JSON.stringify(value)}`);
  });
}

Deno.test("defaultLengths() doubles from 256 up to the context length", () => {
  assertEquals(defaultLengths(2048), [256, 512, 1024, 2048]);
  assertEquals(defaultLengths(3000), [256, 512, 1024, 2048]);
  assertEquals(defaultLengths(100), [100]);
});
