import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { UsageError } from "../../src/cli/options.ts";
import { expectDifferentFiles, WholeFile } from "../../src/cli/whole_file.ts";
import { CapacityError } from "../../src/errors.ts";
import { withRoomFor } from "../faults/full_disk.ts";

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const namesIn = async (folder: string) => (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();

Deno.test("WholeFile replaces a file and leaves nothing beside it", () =>
  withFolder(async (folder) => {
    const file = await WholeFile.at("--csv", `${folder}/a.csv`);
    assertEquals([await file.read(), await namesIn(folder)], [undefined, []]);
    await file.write("one");
    await file.write("two");
    assertEquals([await file.read(), await namesIn(folder)], ["two", ["a.csv"]]);
  }));

Deno.test("WholeFile keeps the old file whole when the new one cannot take its place", () =>
  withFolder(async (folder) => {
    const file = await WholeFile.at("--csv", `${folder}/a.csv`);
    // What stands there now cannot be replaced by a file.
    await Deno.mkdir(`${folder}/a.csv/inner`, { recursive: true });
    await assertRejects(() => file.write("new"), UsageError, `Cannot write --csv "${folder}/a.csv"`);
    assertEquals(await namesIn(folder), ["a.csv"]);
  }));

Deno.test("WholeFile keeps the old file whole where the disk is full, and says so", () =>
  withFolder(async (folder) => {
    const file = await WholeFile.at("--csv", `${folder}/a.csv`);
    await file.write("old");
    await assertRejects(
      () => withRoomFor(2, () => file.write("new")),
      CapacityError,
      "a.csv: the disk is full after 2 bytes",
    );
    assertEquals([await file.read(), await namesIn(folder)], ["old", ["a.csv"]]);
  }));

Deno.test("WholeFile refuses a directory and a folder that is not there, before anything is lost", () =>
  withFolder(async (folder) => {
    await assertRejects(() => WholeFile.at("--svg", folder), UsageError, "it is a directory");
    await assertRejects(() => WholeFile.at("--svg", `${folder}/no/a.svg`), UsageError, "its folder is not there");
  }));

Deno.test("expectDifferentFiles() names the options that would write one file", () => {
  expectDifferentFiles({ "--csv": "a.csv", "--svg": "b.svg", "--resume": undefined });
  const run = () => expectDifferentFiles({ "--resume": "r", "--csv": "a", "--svg": "a" });
  assertThrows(run, UsageError, 'Cannot write --csv and --svg to "a": name different files');
});
