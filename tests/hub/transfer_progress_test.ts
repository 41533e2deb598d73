import { assertEquals } from "@std/assert";
import { type DownloadProgress, TransferProgress } from "../../src/hub/transfer_progress.ts";

Deno.test("TransferProgress tells the pace of the last seconds and the time that is left", () => {
  let now = 0;
  const told: DownloadProgress[] = [];
  const progress = new TransferProgress((each) => told.push(each), () => now);
  progress.expect(100_000);
  progress.found(40_000, "a");
  assertEquals(told.at(-1), {
    phase: "download",
    loaded: 40_000,
    total: 100_000,
    file: "a",
    bytesPerSecond: undefined,
    secondsLeft: undefined,
  });
  for (let i = 0; i < 30; i++) {
    now += 1000;
    progress.came(i < 20 ? 1000 : 2000, "b");
  }
  const last = told.at(-1)!;
  assertEquals([last.loaded, last.bytesPerSecond, last.secondsLeft], [80_000, 2000, 10]);
});

Deno.test("TransferProgress reports ten times a second at most, and the end", () => {
  let now = 0;
  const told: number[] = [];
  const progress = new TransferProgress(({ loaded }) => told.push(loaded), () => now);
  progress.expect(1000);
  for (let i = 0; i < 1000; i++) {
    now += 1;
    progress.came(1, "a");
  }
  assertEquals([told.length, told.at(-1)], [11, 1000]);
});

Deno.test("TransferProgress goes back where bytes have to come again", () => {
  let now = 0;
  const told: DownloadProgress[] = [];
  const progress = new TransferProgress((each) => told.push(each), () => now);
  progress.expect(10);
  progress.came(10, "a");
  now = 1000;
  progress.came(-10, "a");
  assertEquals([told.at(-1)!.loaded, told.at(-1)!.secondsLeft], [0, 1]);
});
