import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { DownloadError, FormatError } from "../../src/errors.ts";
import { removeFromCache } from "../../src/hub/cache_listing.ts";
import { parseModelId } from "../../src/hub/model_id.ts";
import type { DownloadProgress } from "../../src/hub/transfer_progress.ts";
import { contentOf, hashesOf } from "./local_hub.ts";
import { assertWhole, blobs, FOLDER, scene, WEIGHTS } from "./pull_scene.ts";

Deno.test("pullModel() fetches what Skein reads, in Hugging Face's layout, and links it", async () => {
  await scene({ redirects: true }, async ({ hub, cache, pull }) => {
    const pulled = await pull();
    assertEquals(pulled, { path: `${cache}/${FOLDER}/snapshots/${hub.commit}`, commit: hub.commit, isNew: true });
    await assertWhole(hub, pulled);
    const { sha256 } = hashesOf(hub.files.get(WEIGHTS)!);
    const { blobId } = hashesOf(hub.files.get("config.json")!);
    assertEquals(await Deno.readLink(`${pulled.path}/${WEIGHTS}`), `../../blobs/${sha256}`);
    assertEquals(await Deno.readLink(`${pulled.path}/config.json`), `../../blobs/${blobId}`);
    assertEquals(await Deno.readTextFile(`${cache}/${FOLDER}/refs/main`), hub.commit);
    assertEquals(hub.log.filter((line) => /bin|onnx|README/.test(line)), []);
  });
});

Deno.test("pullModel() asks for nothing but the commit where the cache is up to date", async () => {
  await scene({}, async ({ hub, pull }) => {
    await pull();
    hub.log.length = 0;
    assertEquals((await pull()).isNew, false);
    assertEquals(hub.log, ["hub GET /api/models/org/tiny/revision/main"]);
    assertEquals((await pull(`org/tiny@${hub.commit}`)).isNew, false);
    assertEquals(hub.log.length, 1);
  });
});

Deno.test("pullModel() fetches of a new commit only what changed", async () => {
  await scene({}, async ({ hub, pull }) => {
    const old = await pull();
    hub.newCommit("b".repeat(40));
    hub.files.set("config.json", new TextEncoder().encode(`{"a": 1}`));
    hub.log.length = 0;
    const pulled = await pull();
    await assertWhole(hub, pulled);
    assertEquals(hub.log.filter((line) => line.includes("resolve")).length, 1);
    assert((await Deno.readTextFile(`${old.path}/config.json`)).includes("Llama"));
  });
});

Deno.test("pullModel() works without the hub from what is cached, and says what it misses", async () => {
  await scene({}, async ({ cache, hub, pull }) => {
    const offline = { isOffline: true };
    await assertRejects(() => pull("org/tiny", offline), DownloadError, "HF_HUB_OFFLINE is set");
    const pulled = await pull();
    hub.log.length = 0;
    assertEquals(await pull("org/tiny", offline), { ...pulled, isNew: false });
    assertEquals(hub.log, []);
    const unreachable = { endpoint: "http://127.0.0.1:9" };
    assertEquals(await pull("org/tiny", unreachable), { ...pulled, isNew: false });
    await Deno.remove(`${cache}/${FOLDER}/snapshots/${hub.commit}/${WEIGHTS}`);
    await assertRejects(() => pull("org/tiny", offline), DownloadError, "does not have all of it");
    const error = await assertRejects(() => pull("org/tiny", unreachable), DownloadError, "fails");
    assertEquals(error.code, "Network");
  });
});

Deno.test("pullModel() goes on from what is on disk, whoever left it", async () => {
  await scene({}, async ({ hub, cache, pull }) => {
    const { sha256 } = hashesOf(hub.files.get(WEIGHTS)!);
    await Deno.mkdir(`${cache}/${FOLDER}/blobs`, { recursive: true });
    await Deno.writeFile(`${cache}/${FOLDER}/blobs/${sha256}.incomplete`, hub.files.get(WEIGHTS)!.subarray(0, 200_001));
    await assertWhole(hub, await pull());
    const begins = hub.log.filter((line) => line.includes(WEIGHTS)).map((line) => Number(/bytes=(\d+)/.exec(line)![1]));
    assertEquals(Math.min(...begins), 200_001);
  });
});

Deno.test("pullModel() replaces a content that is shorter than the hub says", async () => {
  await scene({}, async ({ hub, cache, pull }) => {
    const { sha256 } = hashesOf(hub.files.get(WEIGHTS)!);
    await Deno.mkdir(`${cache}/${FOLDER}/blobs`, { recursive: true });
    await Deno.writeFile(`${cache}/${FOLDER}/blobs/${sha256}`, hub.files.get(WEIGHTS)!.subarray(0, 1000));
    await assertWhole(hub, await pull());
  });
});

Deno.test("pullModel() names files twice where it may not make links", async () => {
  await scene({}, async ({ hub, cache }) => {
    const child = new URL("./killed_pull.ts", import.meta.url).pathname;
    const scope = [`--allow-read=${cache}`, `--allow-write=${cache}`, "--allow-net=127.0.0.1"];
    const { success } = await new Deno.Command("deno", {
      args: ["run", "-q", "--no-check", "--no-prompt", ...scope, child, hub.endpoint, cache],
      stdout: "null",
    }).output();
    assert(success);
    const path = `${cache}/${FOLDER}/snapshots/${hub.commit}`;
    await assertWhole(hub, { path, commit: hub.commit, isNew: true });
    assert((await Deno.lstat(`${path}/${WEIGHTS}`)).isFile);
    const bytes = blobs(cache).reduce((sum, name) => sum + Deno.statSync(`${cache}/${FOLDER}/blobs/${name}`).size, 0);
    assertEquals(await removeFromCache(cache, parseModelId("org/tiny")!, true), bytes + 40);
  });
});

Deno.test("pullModel() shows its token to the hub and to nobody else", async () => {
  await scene({ redirects: true, token: "hf_secret" }, async ({ hub, pull }) => {
    await assertWhole(hub, await pull("org/tiny", { token: "hf_secret" }));
    assert(hub.log.some((line) => line.startsWith("cdn")));
    assertEquals(hub.leaks, []);
  });
});

Deno.test("pullModel() explains a gated model, by the page where its terms are", async () => {
  await scene({ token: "hf_secret" }, async ({ hub, pull }) => {
    const stranger = await assertRejects(() => pull(), DownloadError, `log in at ${hub.endpoint}/org/tiny, agree`);
    assertEquals([stranger.code, stranger.status], ["Gated", 401]);
    assertStringIncludes(stranger.message, "set HF_TOKEN");
    const member = await assertRejects(
      () => pull("org/tiny", { token: "hf_other" }),
      DownloadError,
      "has no access yet",
    );
    assertEquals([member.code, member.status], ["Gated", 403]);
    assert(!member.message.includes("hf_other"));
  });
});

Deno.test("pullModel() tells a missing model from a missing revision", async () => {
  await scene({}, async ({ pull }) => {
    await assertRejects(() => pull("org/none"), DownloadError, "there is no model org/none at");
    await assertRejects(() => pull("org/tiny@v9"), DownloadError, "has no revision v9");
    await pull("org/tiny@refs/pr/1");
  });
});

Deno.test("pullModel() lets the config be refused before the weights are fetched", async () => {
  await scene({}, async ({ hub, pull }) => {
    const checkConfig = (config: string) => {
      throw new FormatError("config.json", `Cannot use ${JSON.parse(config).architectures[0]}`);
    };
    await assertRejects(() => pull("org/tiny", { checkConfig }), FormatError, "Cannot use LlamaForCausalLM");
    assertEquals(hub.log.filter((line) => line.includes("0000")), []);
  });
});

Deno.test("pullModel() stops when told to, and goes on later", async () => {
  await scene({ pieceMs: 2 }, async ({ hub, pull }) => {
    const stop = new AbortController();
    const onProgress = ({ loaded, total }: DownloadProgress) => {
      if (loaded > total / 2) stop.abort(new Error("enough"));
    };
    await assertRejects(() => pull("org/tiny", { signal: stop.signal, onProgress }), Error, "enough");
    hub.faults = {};
    hub.log.length = 0;
    await assertWhole(hub, await pull());
    assert(!hub.log.some((line) => line.includes("tokenizer.json")), "what was there came again");
  });
});

Deno.test("two pulls of one model fetch each content once", async () => {
  await scene({ pieceMs: 1 }, async ({ hub, pull }) => {
    const [one, two] = await Promise.all([pull(), pull()]);
    await assertWhole(hub, one);
    await assertWhole(hub, two);
    const begins = hub.log.filter((line) => line.includes("bytes=0-"));
    assertEquals(begins.length, new Set(begins).size);
  });
});

Deno.test("pullModel() takes a GGUF file that is named, and asks where there are several", async () => {
  const files = new Map([["a.gguf", contentOf(40_000, 1)], ["sub/b.gguf", contentOf(20_000, 2)]]);
  await scene({ redirects: true }, async ({ hub, pull }) => {
    await assertRejects(() => pull(), FormatError, "name one of its GGUF files, as org/tiny/FILE: a.gguf, sub/b.gguf");
    await assertRejects(() => pull("org/tiny/c.gguf"), FormatError, "it has no file c.gguf");
    const { path } = await pull("org/tiny/sub/b.gguf");
    assert(path.endsWith("/sub/b.gguf"));
    assertEquals(await Deno.readFile(path), hub.files.get("sub/b.gguf")!);
    assertEquals((await pull("org/tiny/sub/b.gguf", { isOffline: true })).path, path);
    assertEquals(hub.log.filter((line) => line.includes("a.gguf")), []);
  }, files);
});

Deno.test("pullModel() takes all parts of a split GGUF file, by the name of any of them", async () => {
  const names = [1, 2, 3].map((i) => `q4/big-0000${i}-of-00003.gguf`);
  const files = new Map(names.map((name, i) => [name, contentOf(10_000 + i, i)]));
  await scene({ redirects: true }, async ({ hub, pull }) => {
    for (const id of ["org/tiny", `org/tiny/${names[1]}`]) {
      const { path } = await pull(id);
      assert(path.endsWith(names[0]!));
      const folder = path.slice(0, -names[0]!.length);
      for (const name of names) assertEquals(await Deno.readFile(folder + name), hub.files.get(name)!);
    }
    const { path, isNew } = await pull("org/tiny", { isOffline: true });
    assertEquals(isNew, false);
    await Deno.remove(path.replace("00001-of", "00003-of"));
    await assertRejects(() => pull("org/tiny", { isOffline: true }), DownloadError, "does not have all of it");
  }, files);
});

Deno.test("pullModel() refuses what Skein cannot run before it fetches anything", async () => {
  const one = contentOf(10, 1);
  const cases: [string, string[]][] = [
    ["expected model.safetensors or", ["config.json", "consolidated.pth"]],
    ["it has no config.json", ["model.safetensors"]],
    ["it has neither tokenizer.json nor tokenizer.model", ["config.json", "model.safetensors"]],
    ["it has no big-00002-of-00003.gguf, one of the 3 parts of", [
      "big-00001-of-00003.gguf",
      "big-00003-of-00003.gguf",
    ]],
  ];
  for (const [message, names] of cases) {
    await scene({}, async ({ hub, pull }) => {
      await assertRejects(() => pull(), FormatError, message);
      assertEquals(hub.log.filter((line) => line.includes("resolve")), []);
    }, new Map(names.map((name) => [name, one])));
  }
});
