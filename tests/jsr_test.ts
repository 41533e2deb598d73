import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import manifest from "../deno.json" with { type: "json" };
import { startJsr } from "./local_jsr.ts";

const ROOT = new URL("../", import.meta.url);
const MODEL = new URL("testdata/pg-nano-yarn-2k", import.meta.url).pathname;

/** Most bytes of the package: JSR takes 20 MB. */
const MOST_BYTES = 6e6;

Deno.test("the README's program and the command line run from the registry, in an empty folder", async (t) => {
  await using jsr = startJsr();
  const folder = await Deno.makeTempDir({ prefix: "skein_jsr_" });
  // A cache of its own, or what an earlier version left there would be used.
  const env = { JSR_URL: jsr.url, DENO_DIR: `${folder}/.deno`, NO_COLOR: "1", XDG_RUNTIME_DIR: "/nonexistent" };
  const deno = async (cwd: string | URL, ...args: string[]): Promise<{ code: number; out: string; err: string }> => {
    const { code, stdout, stderr } = await new Deno.Command("deno", { args, cwd, env }).output();
    return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
  };
  try {
    const uploaded = await deno(ROOT, "publish", "--allow-dirty", "--no-check", "--token", "none", "--quiet");
    assertEquals(uploaded.code, 0, uploaded.err);
    const [{ files, name, version }] = jsr.published as [typeof jsr.published[0]];

    await t.step("it holds what it needs and nothing else", () => {
      assertEquals([name, version], [manifest.name, manifest.version]);
      const names = [...files.keys()];
      for (const needed of ["/mod.ts", "/README.md", "/LICENSE", "/wasm/pkg/core_bg.wasm", "/wgsl/mod.ts"]) {
        assert(names.includes(needed), `${needed} is missing`);
      }
      assertEquals(
        names.filter((name) => /\.wgsl$|^\/(tests|bench|dist|src\/browser|wasm\/(src|target|fuzz))\//.test(name)),
        [],
      );
      const bytes = [...files.values()].reduce((sum, { length }) => sum + length, 0);
      assert(bytes < MOST_BYTES, `The package has ${bytes} bytes`);
    });

    const added = await deno(folder, "add", "--quiet", `jsr:${name}`);
    assertEquals(added.code, 0, added.err);

    await t.step("the README's ten lines need permission to read the model and no other", async () => {
      const readme = new TextDecoder().decode(files.get("/README.md"));
      const [program] = readme.match(/(?<=```ts\n)[^`]*@skein\/skein(?:[^`]|`(?!``))*/) as [string];
      const path = "tests/testdata/pg-nano-yarn-2k";
      assertStringIncludes(program, path);
      await Deno.writeTextFile(`${folder}/ten_lines.ts`, program.replace(path, MODEL));
      const { code, out, err } = await deno(
        folder,
        "run",
        "-q",
        "--no-prompt",
        `--allow-read=${MODEL}`,
        "ten_lines.ts",
      );
      assertEquals([code, err], [0, ""]);
      assert(/ tokens\/s on \S/.test(out), out);
    });

    await t.step("the program passes the type check", async () => {
      const { code, err } = await deno(folder, "check", "-q", "ten_lines.ts");
      assertEquals(code, 0, err);
    });

    await t.step("the command line runs by its specifier", async () => {
      const args = ["generate", MODEL, "--prompt", "The man was riding", "--max-tokens", "4", "--json"];
      const permissions = [
        `--allow-read=${MODEL}`,
        "--allow-env=NO_COLOR,INIT_CWD,DENO_WEBGPU_BACKEND,XDG_RUNTIME_DIR",
      ];
      const { code, out, err } = await deno(
        folder,
        ...["run", "-q", "--no-prompt", ...permissions, `jsr:${name}@${version}/cli`, ...args],
      );
      assertEquals(code, 0, err);
      assertEquals(JSON.parse(out).tokens.length, 4);
    });

    await t.step("a grammar needs no more", async () => {
      await Deno.writeTextFile(
        `${folder}/grammar.ts`,
        `import { loadModel } from "${name}";
        using model = await loadModel(Deno.args[0]!);
        console.log((await model.generate("The man", { grammar: { regex: "north|south" } }).result).text);`,
      );
      const { code, out, err } = await deno(
        folder,
        ...["run", "-q", "--no-prompt", `--allow-read=${MODEL}`, "grammar.ts", MODEL],
      );
      assertEquals([code, err], [0, ""]);
      assert(/^(north|south)\n$/.test(out), out);
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
