import { assertEquals, assertStringIncludes } from "@std/assert";

const MODEL = new URL("testdata/pg-nano-yarn-2k", import.meta.url).pathname;
const ENTRY = new URL("../mod.ts", import.meta.url).href;

/** Runs a program that loads the demo's model, with these permissions and no others. */
async function load(...permissions: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const folder = await Deno.makeTempDir();
  try {
    const script = `${folder}/load.ts`;
    await Deno.writeTextFile(
      script,
      `import { loadModel } from ${JSON.stringify(ENTRY)};
using model = await loadModel(${JSON.stringify(MODEL)});
const { tokens } = await model.generate("Once upon a time", { maxTokens: 3 }).result;
console.log(tokens.length);\n`,
    );
    const { code, stdout, stderr } = await new Deno.Command("deno", {
      args: ["run", "-q", "--no-check", "--no-prompt", ...permissions, script],
      // What a library of the GPU driver writes to stderr where there is no display is not what is tested.
      env: { XDG_RUNTIME_DIR: "/nonexistent" },
    }).output();
    return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("loading a local model needs permission to read it and nothing else", async () => {
  assertEquals(await load(`--allow-read=${MODEL}`), { code: 0, stdout: "3\n", stderr: "" });
});

Deno.test("loading a local model without permission to read it says what is missing", async () => {
  const { code, stdout, stderr } = await load();
  assertEquals([code, stdout], [1, ""]);
  assertStringIncludes(stderr, "NotCapable");
  assertStringIncludes(stderr, "--allow-read");
});
