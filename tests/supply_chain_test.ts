import { assert, assertEquals } from "@std/assert";
import manifest from "../deno.json" with { type: "json" };

const ROOT = new URL("../", import.meta.url);
const read = (path: string) => Deno.readTextFile(new URL(path, ROOT));

/** Licences that let anybody use, change and pass on a program, closed ones included. */
const PERMISSIVE = ["0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "NCSA", "Unicode-3.0", "Zlib"];

/** What types the browser's module, and what `npm:webgpu` needs. */
const UNLOCKED = ["@webgpu/types@0.1.74", "debug@4.4.3", "ms@2.1.3"];

/** Package and version of each row of THIRD_PARTY.md, with the licence. */
async function listed(): Promise<Map<string, string>> {
  const rows = [...(await read("THIRD_PARTY.md")).matchAll(/^\| +(\S+) +\| +(\d\S*) +\| +(.*?) +\|$/gm)];
  return new Map(rows.map(([, name, version, licence]) => [`${name}@${version}`, licence!]));
}

/** All files of the repository below some folders. */
async function sources(folders: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const folder of folders) {
    for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
      const path = `${folder}/${name}`;
      if (isDirectory && path !== "tests/testdata") found.push(...await sources([path]));
      else if (/\.ts$/.test(name)) found.push(path);
    }
  }
  return found;
}

Deno.test("THIRD_PARTY.md lists what the lock files lock, under permissive licences", async () => {
  const locked = new Set<string>();
  for (const folder of ["wasm", "wasm/grammar", "wasm/fuzz"]) {
    for (const [entry] of (await read(`${folder}/Cargo.lock`)).matchAll(/\[\[package\]\][^[]*/g)) {
      const [, name, version] = /name = "(.+)"\nversion = "(.+)"/.exec(entry)!;
      if (entry.includes("\nsource = ")) {
        assert(/\nchecksum = "[0-9a-f]{64}"/.test(entry), `${folder}: ${name} has no checksum`);
        locked.add(`${name}@${version}`);
      }
    }
  }
  const { npm, specifiers } = JSON.parse(await read("deno.lock"));
  for (const [id, { integrity }] of Object.entries<{ integrity: string }>(npm)) {
    assert(integrity.startsWith("sha512-"), id);
    // Binaries of one package for each platform.
    if (!id.startsWith("@esbuild/")) locked.add(id);
  }
  const rows = await listed();
  assertEquals([...locked].filter((id) => !rows.has(id)), []);
  for (const [id, licence] of rows) {
    const isPermissive = licence.split(" AND ").every((part) =>
      part.replace(/[()]/g, "").split(" OR ").some((name) => PERMISSIVE.includes(name))
    );
    assert(isPermissive, `${id}: ${licence}`);
  }
  // What is not locked is pinned where it is imported.
  const pinned = new Map<string, string>();
  for (const path of await sources(["src", "bench", "tests", ".ci", "wasm"])) {
    for (const [, specifier] of (await read(path)).matchAll(/"npm:((?:@[\w-]+\/)?[\w-]+@\d[\w.-]*)[/"]/g)) {
      pinned.set(specifier!, path);
    }
  }
  assertEquals([...pinned.keys()].filter((id) => !rows.has(id)), []);
  assertEquals([...rows.keys()].filter((id) => !locked.has(id) && !pinned.has(id)), UNLOCKED);
  for (const specifier of Object.keys(specifiers)) assert(pinned.has(specifier.slice("npm:".length)), specifier);
});

Deno.test("npm packages are imported by one exact version each, and none may run a script when it is installed", async () => {
  const versions = new Map<string, Set<string>>();
  for (const path of await sources(["src", "bench", "tests", ".ci", "wasm"])) {
    for (const [, name, version] of (await read(path)).matchAll(/from "npm:((?:@[\w-]+\/)?[\w-]+)(?:@([^/"]*))?/g)) {
      assert(/^\d+\.\d+\.\d+$/.test(version ?? ""), `${path} imports ${name} by ${version ?? "no version"}`);
      versions.set(name!, (versions.get(name!) ?? new Set()).add(version!));
    }
  }
  assert(versions.size > 0);
  assertEquals([...versions].filter(([, each]) => each.size > 1), []);
  // Deno runs scripts of npm packages only where it is told to, and only into a node_modules folder.
  assertEquals(manifest.nodeModulesDir, "none");
  assert(!JSON.stringify(manifest).includes("allow-scripts") && !("allowScripts" in manifest));
});

Deno.test("tasks that fetch packages take those of the lock file, and no others", () => {
  for (const [name, task] of Object.entries(manifest.tasks)) {
    const command = typeof task === "string" ? task : task.command;
    if (command.includes("--lock")) assert(command.includes("--lock=deno.lock --frozen"), name);
  }
  // On Dawn runs a package that is not locked, because its binaries would be fetched with the lock file's.
  const needing = Object.entries<string | { command: string }>(manifest.tasks)
    .map(([name, task]) => ({ name, command: typeof task === "string" ? task : task.command }))
    .filter(({ name, command }) => /src\/cli\/main|browser|deno test |soak/.test(command) && !name.endsWith(":dawn"));
  assert(needing.length >= 5);
  for (const { name, command } of needing) assert(command.includes("--frozen"), name);
});
