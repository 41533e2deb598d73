/**
 * Kernels' tests, run in Chromium: `deno task test:browser`.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
// deno-lint-ignore no-import-prefix
import { build, stop } from "npm:esbuild@0.28.2";
import { wasmPlugin } from "../../src/browser/wasm_plugin.ts";
import { openSite } from "./chromium.ts";
import type { Outcome } from "./kernel_runner.ts";

const HERE = new URL(".", import.meta.url);
const WGSL_TESTS = new URL("../wgsl/", HERE);

const names = [...Deno.readDirSync(WGSL_TESTS)].map(({ name }) => name)
  // What ggml says of its blocks is in a file, and in shapes that other tests have too.
  .filter((name) => name.endsWith("_test.ts") && name !== "formats_test.ts").sort();

/** Variants that need subgroups of eight lanes, of which SwiftShader has four. */
const SKIPPED = /\b(direct|subgroup)\b/;

/** Of the longest tests, enough to compile each kernel and to run it once. */
const KEPT: Readonly<Record<string, RegExp>> = {
  "attention_decode_test.ts": /small shared (stores.*(9.3 x 64|8.1 x 80)|takes)/,
  "attention_test.ts": /shared does not depend|small shared (of one token is the last row|agrees.*on (2|33) x)/,
  "matmul_test.ts": /(f16|q8|q4m)$/,
  "matvec_test.ts": /(f16|q8|q4m)$/,
  "norm_matmul_test.ts": /(f16|q8)$/,
};

/** One module a test file, which runs it and gives its outcomes. */
async function bundleTests(folder: string): Promise<void> {
  const file = (name: string, base: URL = HERE) => JSON.stringify(new URL(name, base).pathname);
  for (const name of names) {
    await Deno.writeTextFile(
      `${folder}/${name}`,
      `import { runTests } from ${file("kernel_runner.ts")};
import ${file(name, WGSL_TESTS)};
export default await runTests((test) => !${SKIPPED}.test(test) && ${KEPT[name] ?? /^/}.test(test));\n`,
    );
  }
  try {
    await build({
      entryPoints: names.map((name) => `${folder}/${name}`),
      bundle: true,
      format: "esm",
      platform: "browser",
      target: "es2022",
      outdir: folder,
      plugins: [wasmPlugin],
      logLevel: "error",
      alias: {
        "@std/assert": new URL("../std_assert.ts", HERE).pathname,
        "node:assert/strict": new URL("node_assert.ts", HERE).pathname,
      },
    });
  } finally {
    await stop();
  }
}

Deno.test("kernels agree with their twins in Chromium", async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "skein_chromium_" });
  try {
    await bundleTests(folder);
    await Deno.writeTextFile(`${folder}/index.html`, "<!doctype html><link rel=icon href=data:,>");
    await using site = await openSite(new URL(`file://${folder}/`));
    for (const name of names) {
      const page = await site.newPage();
      await page.goto(site.url);
      const script = `import("/${name.replace(/\.ts$/, ".js")}").then((module) => module.default)`;
      const outcomes = await page.evaluate<Outcome[]>(script);
      for (const { name: test, error } of outcomes) {
        await t.step(test, () => {
          if (error !== undefined) throw new Error(error);
        });
      }
      await page.close();
    }
    assertEquals(site.complaints, []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
