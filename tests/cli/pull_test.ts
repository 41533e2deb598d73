import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { startHub } from "../hub/local_hub.ts";
import { lastLine, skein } from "./skein_process.ts";

const MODEL = new URL("../testdata/tiny/storage_forms/safetensors_bf16", import.meta.url).pathname;

Deno.test("skein pull, list and remove, and commands that take an id", async () => {
  const names = [...Deno.readDirSync(MODEL)].map(({ name }) => name);
  const hub = startHub(new Map(names.map((name) => [name, Deno.readFileSync(`${MODEL}/${name}`)])), {
    redirects: true,
  });
  const home = await Deno.makeTempDir();
  const env = { HF_ENDPOINT: hub.endpoint, HF_HOME: home };
  const run = (...args: string[]) => skein(args, { env });
  try {
    assertEquals((await run("list")).stderr, `skein: There are no models in ${home}/hub\n`);
    const tokens = await run("tokenize", "org/tiny", "Hello");
    assertEquals([tokens.code, tokens.stdout], [0, (await run("tokenize", MODEL, "Hello")).stdout], tokens.stderr);
    assertEquals([...Deno.readDirSync(home)], []);

    const pulled = await run("pull", "org/tiny", "--json");
    assertEquals(pulled.code, 0, pulled.stderr);
    const path = `${home}/hub/models--org--tiny/snapshots/${hub.commit}`;
    assertEquals(JSON.parse(pulled.stdout), { model: "org/tiny", commit: hub.commit, path, is_new: true });
    assertEquals((await run("pull", "org/tiny")).stdout, `${path}\n`);
    const { models } = JSON.parse((await run("list", "--json")).stdout);
    assertEquals([models.length, models[0].model, models[0].complete], [1, "org/tiny", true]);
    assert(/^model +size +state\norg\/tiny +[\d.]+ kB +ready\n$/.test((await run("list")).stdout));

    await hub.close();
    const generated = await run("generate", "org/tiny", "--prompt", "Hello", "--max-tokens", "2", "--json");
    assertEquals(generated.code, 0, generated.stderr);
    assert(/^Freed [\d.]+ kB\n$/.test((await run("remove", "org/tiny")).stdout));
    assertStringIncludes(lastLine(await run("remove", "org/tiny")), "Cannot remove org/tiny: there is nothing of it");
  } finally {
    await hub.close();
    await Deno.remove(home, { recursive: true });
  }
});

Deno.test("skein pull refuses what is no id or no GGUF file, and says what is gated", async () => {
  const hub = startHub(new Map([["a.gguf", new Uint8Array(20_000)]]), { token: "hf_secret" });
  const home = await Deno.makeTempDir();
  const env = { HF_ENDPOINT: hub.endpoint, HF_HOME: home };
  try {
    for (
      const [message, ...args] of [
        ['Cannot download "./tiny": expected a model', "./tiny"],
        ['Cannot use --file "a.bin": expected a .gguf file', "org/tiny", "--file", "a.bin"],
        ["it has no file b.gguf: a.gguf", "org/tiny", "--file", "b.gguf"],
        [`log in at ${hub.endpoint}/org/tiny, agree`, "org/tiny", "--file", "a.gguf"],
      ] as const
    ) {
      const finished = await skein(["pull", ...args], { env });
      assertEquals([finished.code, finished.stdout], [1, ""]);
      assertStringIncludes(lastLine(finished), message);
    }
  } finally {
    await hub.close();
    await Deno.remove(home, { recursive: true });
  }
});
