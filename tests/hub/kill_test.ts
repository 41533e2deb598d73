import { assert, assertEquals } from "@std/assert";
import { killPulls } from "./kill_pulls.ts";

Deno.test("a pull that is killed leaves nothing that counts as whole and is not, and the next one goes on", async () => {
  const { kills, downloads, resumedBytes } = await killPulls(4, 7);
  assertEquals(kills, 4);
  assert(downloads >= 1 && resumedBytes > 0, `${downloads} downloads, ${resumedBytes} bytes found`);
});
