import { assertEquals } from "@std/assert";
import { killConversions, killSaves } from "./kill_writes.ts";

Deno.test("a save or a conversion that is killed leaves what was there or what was to come, and no half of it", async () => {
  assertEquals((await killSaves(2, 3)).kills, 2);
  assertEquals((await killConversions(2, 3)).kills, 2);
});
