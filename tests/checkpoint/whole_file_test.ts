import { assert, assertEquals, assertRejects } from "@std/assert";
import { requireDiskSpace, writeWhole } from "../../src/checkpoint/whole_file.ts";
import { CapacityError } from "../../src/errors.ts";
import { withRoomFor } from "../faults/full_disk.ts";

const text = new TextEncoder();

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const namesIn = (folder: string) => [...Deno.readDirSync(folder)].map(({ name }) => name);

Deno.test("writeWhole() replaces a file, and what a process that died has left beside it", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/a`, "old");
    await Deno.writeTextFile(`${folder}/a.part`, "much longer than what comes now");
    await writeWhole(`${folder}/a`, [text.encode("one "), text.encode("two")]);
    assertEquals([await Deno.readTextFile(`${folder}/a`), namesIn(folder)], ["one two", ["a"]]);
  }));

Deno.test("writeWhole() keeps the old file where the disk is full after any number of bytes, and says so", () =>
  inFolder(async (folder) => {
    const path = `${folder}/a`;
    await writeWhole(path, [text.encode("old")]);
    for (let room = 0; room < 8; room++) {
      const write = () => writeWhole(path, [text.encode("four"), text.encode("more")]);
      const error = await assertRejects(() => withRoomFor(room, write), CapacityError);
      assertEquals(
        error.message,
        `Cannot write ${path}: the disk is full after ${room} bytes of it; free some space and try again`,
      );
      assertEquals([await Deno.readTextFile(path), namesIn(folder)], ["old", ["a"]]);
    }
  }));

Deno.test("writeWhole() refuses a file that is being written, and lets the first go on", () =>
  inFolder(async (folder) => {
    const path = `${folder}/a`;
    const { promise: isRefused, resolve } = Promise.withResolvers<void>();
    const first = writeWhole(
      path,
      (async function* () {
        yield text.encode("fi");
        await isRefused;
        yield text.encode("rst");
      })(),
    );
    await new Promise((resolve) => setTimeout(resolve, 20));
    await assertRejects(
      () => writeWhole(path, [text.encode("second")]),
      Deno.errors.Busy,
      "it is being written already",
    );
    resolve();
    await first;
    assertEquals([await Deno.readTextFile(path), namesIn(folder)], ["first", ["a"]]);
  }));

Deno.test("many calls of writeWhole() at once leave one of their files", () =>
  inFolder(async (folder) => {
    const path = `${folder}/a`;
    const texts = Array.from({ length: 20 }, (_, i) => String(i).repeat(1000));
    const outcomes = await Promise.allSettled(
      texts.map((each) => writeWhole(path, each.match(/.{50}/g)!.map((piece) => text.encode(piece)))),
    );
    for (const outcome of outcomes) {
      assert(
        outcome.status === "fulfilled" || outcome.reason instanceof Deno.errors.Busy,
        `${JSON.stringify(outcome)}`,
      );
    }
    const left = await Deno.readTextFile(path);
    assert(texts.some((each, i) => outcomes[i]!.status === "fulfilled" && each.startsWith(left) && left.length > 900));
    assertEquals(namesIn(folder), ["a"]);
  }));

Deno.test("requireDiskSpace() refuses what the disk has no room for, with both numbers", () =>
  inFolder(async (folder) => {
    await requireDiskSpace(folder, 1, "download org/name");
    const refused = () => requireDiskSpace(folder, 2 ** 60, "download org/name");
    const error = await assertRejects(refused, CapacityError, `Cannot download org/name: it takes ${2 ** 60} bytes`);
    assert(error.available > 0 && error.available < error.requested && error.unit === "bytes");
    await requireDiskSpace(`${folder}/none`, 2 ** 60, "download what is not known to fit");
  }));
