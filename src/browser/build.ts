/**
 * Builds Skein for browsers into `dist/browser/`, or another folder: `skein.js`, the library as one ES module with its
 * Wasm inside, `skein_grammar.js`, which it loads from beside it when a text is to be held to a grammar, and the page that uses it, with the demo's model beside it. Any warning of esbuild's fails the build.
 *
 * usage: deno task build:browser [FOLDER]
 *
 * @module
 */
// Named here and not in deno.json, because `deno task` fetches what is named there even for tasks without a browser.
// deno-lint-ignore no-import-prefix
import { build, type BuildOptions, type Plugin, stop } from "npm:esbuild@0.28.2";
import { wasmPlugin } from "./wasm_plugin.ts";

const ROOT = new URL("../../", import.meta.url);
const SAMPLE = new URL("tests/testdata/pg19/keith_of_the_border.txt", ROOT);
const MODEL = new URL("tests/testdata/pg-nano-yarn-2k/", ROOT);
const here = (name: string) => new URL(name, import.meta.url).pathname;

/** Bundles one entry; the text of what came of it. */
async function bundle(entry: string, options: BuildOptions = {}): Promise<string> {
  const { warnings, outputFiles } = await build({
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    legalComments: "none",
    charset: "utf8",
    entryPoints: [here(entry)],
    write: false,
    ...options,
  });
  if (warnings.length > 0) throw new Error(`Cannot build ${entry}: esbuild warns ${warnings.length} times`);
  return outputFiles![0]!.text;
}

/** Finds `npm:` packages where Deno keeps them. */
const npmPlugin: Plugin = {
  name: "npm",
  setup({ onResolve }) {
    onResolve({ filter: /^npm:/ }, async ({ path }) => {
      await import(path);
      return { path: new URL(import.meta.resolve(path)).pathname };
    });
  },
};

/** The page loads the library as the file that lies beside it. */
const besidePlugin: Plugin = {
  name: "beside",
  setup({ onResolve }) {
    onResolve({ filter: /^\.\.\/mod\.ts$/ }, () => ({ path: "./skein.js", external: true }));
  },
};

async function gzippedBytes(text: string): Promise<number> {
  return (await new Response(new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"))).bytes()).length;
}

async function main(folder: string | undefined): Promise<void> {
  const out = folder === undefined ? new URL("dist/browser/", ROOT) : new URL(`${folder}/`, `file://${Deno.cwd()}/`);
  const files: Record<string, string> = { "index.html": await Deno.readTextFile(here("./page/index.html")) };
  try {
    // Imports of the worker are resolved from its own file, where nothing but the template engine is named.
    const worker = await bundle("../chat/template_worker.ts", { plugins: [npmPlugin] });
    const define = { TEMPLATE_WORKER: JSON.stringify(worker) };
    files["skein.js"] = await bundle("./mod.ts", { plugins: [wasmPlugin], define });
    files["skein_grammar.js"] = await bundle("../grammar/grammar_worker.ts", { plugins: [wasmPlugin] });
    files["page.js"] = await bundle("./page/page.ts", { plugins: [besidePlugin] });
    files["page.css"] = await bundle("./page/page.css");
  } finally {
    await stop();
  }
  await Deno.mkdir(new URL("model/", out), { recursive: true });
  for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(new URL(name, out), text);
  await Deno.copyFile(SAMPLE, new URL("sample.txt", out));
  for await (const { name } of Deno.readDir(MODEL)) {
    if (/\.(json|safetensors)$/.test(name)) await Deno.copyFile(new URL(name, MODEL), new URL(`model/${name}`, out));
  }
  const megabytes = (count: number) => `${(count / 1e6).toFixed(2)} MB`;
  const library = files["skein.js"]!;
  const bytes = new TextEncoder().encode(library).length;
  console.log(
    `${new URL("skein.js", out).pathname}: ${megabytes(bytes)}, ${megabytes(await gzippedBytes(library))} gzipped`,
  );
}

await main(Deno.args[0]);
