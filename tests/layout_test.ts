/**
 * The rules that keep the tree readable: names mirror each other, declarations agree, files stay small.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import manifest from "../deno.json" with { type: "json" };
import jsrManifest from "../deno.jsr.json" with { type: "json" };
import * as wgsl from "../wgsl/mod.ts";
import { kernelDeclarations } from "./kernel_declarations.ts";

const ROOT = new URL("../", import.meta.url);
const SKIPPED =
  /^(\.git|node_modules|dist|wasm\/(target|pkg|grammar\/(target|pkg)|fuzz\/(target|corpus|artifacts))|tests\/testdata)$/;

/** Tests of the whole and not of one module. */
const WHOLE = ["jsr", "layout", "readme", "supply_chain"];

/** Rooms of tests of the whole. */
const WHOLE_ROOMS = ["faults"];

/** Suffixes of kernels that compute the same in another way and share a test. */
const VARIANT = /_(direct|plain|shared|subgroup|tiled)$/;

async function filesBelow(path: string = "", skipped: RegExp = SKIPPED): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL(path, ROOT))) {
    const inner = path + name;
    if (skipped.test(inner)) continue;
    if (isDirectory) found.push(...await filesBelow(`${inner}/`, skipped));
    else found.push(inner);
  }
  return found.sort();
}

const files = await filesBelow();
const read = (path: string) => Deno.readTextFile(new URL(path, ROOT));
const kernelNames = files.flatMap((path) => /^wgsl\/(\w+)\.wgsl$/.exec(path)?.[1] ?? []);
const declarations = await kernelDeclarations();

/** The modules that a module names, by import or as a file to run. */
async function namedBy(path: string): Promise<string[]> {
  const aliases: Readonly<Record<string, string>> = manifest.imports;
  const named = [...(await read(path)).matchAll(/"([.@][^"\s]+)"/g)].map(([, name]) => {
    const alias = aliases[name!];
    return new URL(alias ?? name!, alias === undefined ? `file:///${path}` : "file:///").pathname.slice(1);
  });
  return named.filter((name) => files.includes(name));
}

const graph = new Map<string, string[]>();
for (const path of files.filter((path) => path.endsWith(".ts"))) graph.set(path, await namedBy(path));

/** What is reached from a module through modules of which `through` is true. */
function reachedFrom(start: string, through: (path: string) => boolean): Set<string> {
  const reached = new Set<string>();
  const waiting = [start];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    for (const next of graph.get(path) ?? []) {
      if (reached.has(next)) continue;
      reached.add(next);
      if (through(next)) waiting.push(next);
    }
  }
  return reached;
}

/** The test of a kernel: of its own name, or of the operation that its name begins with, as attention's parts have. */
function testOf(kernelName: string): string | undefined {
  const words = kernelName.replace(VARIANT, "").split("_");
  return words.map((_, i) => `tests/wgsl/${words.slice(0, words.length - i).join("_")}_test.ts`)
    .find((path) => files.includes(path));
}

Deno.test("every kernel file has a test of its name, which compares it with a twin", () => {
  const missing: string[] = [];
  for (const name of kernelNames) {
    const test = testOf(name);
    if (test === undefined) missing.push(`${name}.wgsl has no test`);
    else {
      const reached = [...reachedFrom(test, (path) => path.startsWith("tests/wgsl/"))];
      if (!reached.some((path) => path.startsWith("tests/reference/"))) missing.push(`${test} imports no twin`);
    }
  }
  assertEquals(missing, []);
});

Deno.test("every twin is used by a test", () => {
  const used = new Set(
    files.filter((path) => path.endsWith("_test.ts")).flatMap((
      path,
    ) => [...reachedFrom(path, (next) => next.startsWith("tests/"))]),
  );
  assertEquals(files.filter((path) => path.startsWith("tests/reference/") && !used.has(path)), []);
});

Deno.test("every module under src is reached by a test, and every room has tests of its own", () => {
  const tests = files.filter((path) => path.endsWith("_test.ts"));
  const reached = new Set(tests.flatMap((test) => [...reachedFrom(test, () => true)]));
  const modules = files.filter((path) => /^src\/.*\.ts$/.test(path));
  assertEquals(modules.filter((path) => !reached.has(path)), []);
  const rooms = new Set(modules.flatMap((path) => /^src\/(\w+)\//.exec(path)?.[1] ?? []));
  // Kernels' TypeScript sides are tested with the kernels.
  const folder = (room: string) => room === "kernels" ? "tests/wgsl/" : `tests/${room}/`;
  assertEquals([...rooms].filter((room) => !tests.some((test) => test.startsWith(folder(room)))), []);
});

Deno.test("every test stands in the room of what it tests", () => {
  const rooms = new Set(files.flatMap((path) => /^(?:src\/)?(\w+)\/[^/]+$/.exec(path)?.[1] ?? []));
  const orphans = files.filter((path) => /^tests\/.*_test\.ts$/.test(path)).filter((path) => {
    const [, room, name] = /^tests\/(?:(\w+)\/)?(\w+)_test\.ts$/.exec(path)!;
    if (room === undefined) return !WHOLE.includes(name!) && !files.includes(`${name}.ts`);
    if (room !== "wgsl") return !rooms.has(room) && !WHOLE_ROOMS.includes(room);
    return !kernelNames.some((kernel) => testOf(kernel) === path) && !files.includes(`src/kernels/${name}.ts`);
  });
  assertEquals(orphans, []);
});

Deno.test("every kernel file is declared, under the name of its operation", () => {
  const sources: Readonly<Record<string, string>> = wgsl;
  const undeclared = kernelNames.filter((name) =>
    !declarations.some(({ kernel }) => kernel.source.includes(sources[name]!))
  );
  assertEquals(undeclared, []);
  const operation = (name: string) => name.split(".")[0]!.replace(VARIANT, "");
  for (const { file, kernel } of declarations) {
    const own = kernelNames.filter((name) => operation(name) === operation(kernel.name));
    assert(
      own.some((name) => kernel.source.includes(sources[name]!)),
      `${file}: ${kernel.name} has no file of its name`,
    );
  }
});

for (const { file, kernel } of declarations) {
  Deno.test(`${kernel.name} in src/kernels/${file} declares what its WGSL does`, () => {
    const code = kernel.source.join("\n").replaceAll(/\/\/.*$/gm, "");
    const bindings = [
      ...code.matchAll(/@group\(0\)\s*@binding\((\d+)\)\s*var<(storage|uniform)(?:,\s*(\w+))?>\s*(\w+)/g),
    ]
      .map(([, index, space, access, name]) => ({
        index: Number(index),
        name,
        access: space === "uniform" ? space : access,
      }))
      .sort((a, b) => a.index - b.index);
    const params = Object.entries(kernel.params);
    assertEquals(bindings, [
      ...Object.entries(kernel.bindings).map(([name, access], index) => ({ index, name, access })),
      ...(params.length === 0
        ? []
        : [{ index: Object.keys(kernel.bindings).length, name: "params", access: "uniform" }]),
    ]);

    const struct = /struct Params \{([^}]*)\}/.exec(code)?.[1] ?? "";
    assertEquals([...struct.matchAll(/(\w+)\s*:\s*(\w+)/g)].map(([, name, type]) => [name, type]), params);

    const defined = new Set([...code.matchAll(/\b(?:const|alias)\s+(\w+)/g)].map(([, name]) => name));
    const used = new Set([...code.matchAll(/\b[A-Z][A-Z0-9_]*\b/g)].map(([name]) => name));
    assertEquals([...used].filter((name) => !defined.has(name)).sort(), [...kernel.constants].sort());
  });
}

Deno.test("no file is longer than 400 lines", async () => {
  const long: string[] = [];
  for (const path of files.filter((path) => /\.(ts|rs|wgsl|py|sh)$/.test(path) && path !== "wgsl/mod.ts")) {
    const lines = (await read(path)).split("\n").length - 1;
    if (lines > 400) long.push(`${path}: ${lines}`);
  }
  assertEquals(long, []);
});

Deno.test("file names are snake_case and say what is inside", () => {
  const code = files.filter((path) => /\.(ts|rs|wgsl|py)$/.test(path));
  assertEquals(code.filter((path) => !/^[a-z0-9_]+(\.d)?\.\w+$/.test(path.split("/").at(-1)!)), []);
  assertEquals(code.filter((path) => /(^|\/)(utils?|helpers?|common|misc|types|manager)\.\w+$/.test(path)), []);
});

Deno.test("published files stay under 6 MB together", async () => {
  const { include, exclude } = manifest.publish;
  const isIn = (list: string[], path: string) => list.some((entry) => path === entry || path.startsWith(`${entry}/`));
  const published = (await filesBelow("", /^\.git$/)).filter((path) => isIn(include, path) && !isIn(exclude, path));
  let bytes = 0;
  for (const path of published) bytes += (await Deno.stat(new URL(path, ROOT))).size;
  assert(published.includes("wasm/pkg/core_bg.wasm") && bytes < 6e6, `${published.length} files have ${bytes} bytes`);
});

Deno.test("the second config is the first with the real packages", () => {
  assertEquals(jsrManifest.exports, manifest.exports);
  assertEquals(jsrManifest.version, manifest.version);
  assertEquals(Object.keys(jsrManifest.imports), Object.keys(manifest.imports));
  assertEquals(jsrManifest.publish.include, manifest.publish.include);
  assertEquals(jsrManifest.publish.exclude.filter((path) => path !== "src/cli/std_cli.ts"), manifest.publish.exclude);
});
