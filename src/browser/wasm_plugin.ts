/**
 * Lets esbuild bundle `import * as wasm from "./core_bg.wasm"`, which Deno runs as it is. The module's bytes go into the
 * bundle and are instantiated there, under the names that the ES module integration of WebAssembly gives them: esbuild's
 * own loaders hand out the bytes and leave the exports undefined.
 *
 * @module
 */
// deno-lint-ignore no-import-prefix
import type { Plugin } from "npm:esbuild@0.28.2";

/** The plugin. */
export const wasmPlugin: Plugin = {
  name: "wasm",
  setup(build) {
    build.onLoad({ filter: /\.wasm$/, namespace: "file" }, async ({ path, with: attributes }) => {
      const bytes = await Deno.readFile(path);
      if (attributes["type"] === "bytes") return { contents: bytes, loader: "binary" };
      return { contents: instantiating(path, new WebAssembly.Module(bytes)), loader: "js", resolveDir: folderOf(path) };
    });
  },
};

/** A module whose exports are those of a Wasm module, linked to the modules that it imports. */
function instantiating(path: string, module: WebAssembly.Module): string {
  const imported = [...new Set(WebAssembly.Module.imports(module).map(({ module }) => module))];
  const named = WebAssembly.Module.exports(module).map(({ name }) => name);
  return [
    `import bytes from ${JSON.stringify(path)} with { type: "bytes" };`,
    ...imported.map((name, i) => `import * as import${i} from ${JSON.stringify(name)};`),
    `const imports = { ${imported.map((name, i) => `${JSON.stringify(name)}: import${i}`).join(", ")} };`,
    "const { instance } = await WebAssembly.instantiate(bytes, imports);",
    ...named.map((name, i) => `const export${i} = instance.exports[${JSON.stringify(name)}];`),
    `export { ${named.map((name, i) => `export${i} as ${name}`).join(", ")} };`,
  ].join("\n");
}

function folderOf(path: string): string {
  return path.replace(/[\\/][^\\/]*$/, "");
}
