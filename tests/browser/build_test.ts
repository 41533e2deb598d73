import { assert, assertEquals } from "@std/assert";
import * as skein from "../../mod.ts";

const BUILD = new URL("../../src/browser/build.ts", import.meta.url).pathname;
const MODEL = new URL("../testdata/pg-nano-yarn-2k/", import.meta.url);

/** What only a program with a disk can do. */
const DENO_ONLY = ["convertModel", "pull"];

Deno.test("the browser build is one module without Deno or Node that runs a model from blobs", async () => {
  const folder = await Deno.makeTempDir({ prefix: "skein_build_" });
  try {
    const { success, stdout, stderr } = await new Deno.Command("deno", {
      args: ["run", "-A", "-q", "--no-check", BUILD, folder],
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    const told = new TextDecoder().decode(stdout);
    assertEquals(/skein\.js: \d\.\d\d MB, \d\.\d\d MB gzipped\n$/.test(told), true);
    const library = await Deno.readTextFile(`${folder}/skein.js`);
    assert(library.length < 3.5e6, `skein.js has ${library.length} characters`);
    assertEquals(
      library.match(/\bDeno\b|\bnode:|\brequire\(|\bprocess\.|\bBuffer\b|__dirname|\bimport\s*["({]/g),
      null,
    );
    const imported = (await Deno.readTextFile(`${folder}/page.js`)).matchAll(/\bimport\b[^"]*?\bfrom"([^"]+)"/g);
    assertEquals([...new Set(Array.from(imported, ([, name]) => name))], ["./skein.js"]);

    const built = await import(`file://${folder}/skein.js`);
    assertEquals(Object.keys(built).sort(), Object.keys(skein).filter((name) => !DENO_ONLY.includes(name)).sort());
    const names = ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"];
    const files = await Promise.all(
      [...names, "model.safetensors"].map(async (name) => new File([await Deno.readFile(new URL(name, MODEL))], name)),
    );
    using own = await skein.loadModel(MODEL.pathname, { contextLength: 256 });
    using model: skein.Model = await built.loadModel(files, { contextLength: 256 });
    const options = { maxTokens: 8 };
    const expected = await own.generate("The man was riding", options).result;
    assertEquals((await model.generate("The man was riding", options).result).tokens, expected.tokens);
    const held = await model.generate("The man was riding", { grammar: { regex: "north|south" } }).result;
    assert(["north", "south"].includes(held.text), held.text);
    using session = model.createSession();
    session.append([1]);
    const refused = await session.save("a.session").catch((error) => error);
    assertEquals(refused.message, "Cannot write a.session: a browser has no paths, give a WritableStream");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
