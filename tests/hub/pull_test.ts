import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { DownloadError, FormatError } from "../../src/errors.ts";
import { Pcg32 } from "../../src/eval/pcg32.ts";
import { removeFromCache } from "../../src/hub/cache_listing.ts";
import type { HubEnvironment } from "../../src/hub/hub_environment.ts";
import { parseModelId } from "../../src/hub/model_id.ts";
import { type PulledModel, pullModel, type PullOptions } from "../../src/hub/pull.ts";
import type { DownloadProgress } from "../../src/hub/transfer_progress.ts";
import { contentOf, hashesOf, type HubFaults, type LocalHub, startHub, tinyFiles } from "./local_hub.ts";

const QUICK = { attempts: 4, firstDelayMs: 1, stallMs: 20_000 };
const FOLDER = "models--org--tiny";
const WEIGHTS = "model-00001-of-00002.safetensors";
const READ = [
  "config.json",
  "model-00001-of-00002.safetensors",
  "model-00002-of-00002.safetensors",
  "model.safetensors.index.json",
  "tokenizer.json",
  "tokenizer_config.json",
];

/** A hub, an empty cache, and pulls between them. */
interface Scene {
  readonly hub: LocalHub;
  readonly cache: string;
  pull(id?: string, options?: PullOptions & Partial<HubEnvironment>): Promise<PulledModel>;
}

async function scene(
  faults: HubFaults,
  play: (scene: Scene) => Promise<void>,
  files: ReadonlyMap<string, Uint8Array<ArrayBuffer>> = tinyFiles(),
): Promise<void> {
  const hub = startHub(files, faults);
  const cache = await Deno.makeTempDir();
  try {
    await play({
      hub,
      cache,
      pull: (id = "org/tiny", { token, isOffline = false, endpoint = hub.endpoint, retry = QUICK, ...options } = {}) =>
        pullModel(parseModelId(id)!, { endpoint, token, isOffline, cache, retry }, {
          segmentBytes: 32_768,
          ...options,
        }),
    });
  } finally {
    await hub.close();
    await Deno.remove(cache, { recursive: true });
  }
}

/** All files of the pulled model have the hub's bytes. */
async function assertWhole(hub: LocalHub, { path }: PulledModel): Promise<void> {
  const names = [...Deno.readDirSync(path)].map(({ name }) => name).sort();
  assertEquals(names, READ);
  for (const name of names) assertEquals(await Deno.readFile(`${path}/${name}`), hub.files.get(name)!, name);
}

const blobs = (cache: string) => [...Deno.readDirSync(`${cache}/${FOLDER}/blobs`)].map(({ name }) => name).sort();

/** Every content under its final name is what the name says. */
async function assertNoPartialBlob(hub: LocalHub, cache: string): Promise<void> {
  const hashes = [...hub.files.values()].map((bytes) => hashesOf(bytes));
  for (const name of blobs(cache).filter((name) => !name.endsWith(".incomplete"))) {
    const { sha256, blobId } = hashesOf(await Deno.readFile(`${cache}/${FOLDER}/blobs/${name}`));
    assert(name === sha256 || name === blobId, name);
    assert(hashes.some((known) => known.sha256 === sha256));
  }
}

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

Deno.test("pullModel() finishes over connections that keep breaking", async () => {
  const dropAfter = ({ count, begin, end }: { count: number; begin: number; end: number }) =>
    count % 2 === 0 && end - begin > 1000 ? (end - begin) >> 1 : undefined;
  await scene({ redirects: true, dropAfter }, async ({ hub, cache, pull }) => {
    await assertWhole(hub, await pull());
    await assertNoPartialBlob(hub, cache);
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

Deno.test("pullModel() throws away a beginning that is wrong, or longer than the content", async () => {
  for (const left of [contentOf(1000, 99), contentOf(400_000, 5)]) {
    await scene({}, async ({ hub, cache, pull }) => {
      const { sha256 } = hashesOf(hub.files.get(WEIGHTS)!);
      await Deno.mkdir(`${cache}/${FOLDER}/blobs`, { recursive: true });
      await Deno.writeFile(`${cache}/${FOLDER}/blobs/${sha256}.incomplete`, left);
      const seen: DownloadProgress[] = [];
      await assertWhole(hub, await pull("org/tiny", { onProgress: (progress) => seen.push(progress) }));
      assertEquals([seen.at(-1)!.loaded, seen.at(-1)!.secondsLeft], [seen.at(-1)!.total, 0]);
    });
  }
});

Deno.test("pullModel() replaces a content that is shorter than the hub says", async () => {
  await scene({}, async ({ hub, cache, pull }) => {
    const { sha256 } = hashesOf(hub.files.get(WEIGHTS)!);
    await Deno.mkdir(`${cache}/${FOLDER}/blobs`, { recursive: true });
    await Deno.writeFile(`${cache}/${FOLDER}/blobs/${sha256}`, hub.files.get(WEIGHTS)!.subarray(0, 1000));
    await assertWhole(hub, await pull());
  });
});

Deno.test("pullModel() reads on where a server ignores ranges", async () => {
  await scene({ ignoresRange: true }, async ({ hub, cache, pull }) => {
    const { sha256 } = hashesOf(hub.files.get(WEIGHTS)!);
    await Deno.mkdir(`${cache}/${FOLDER}/blobs`, { recursive: true });
    await Deno.writeFile(`${cache}/${FOLDER}/blobs/${sha256}.incomplete`, hub.files.get(WEIGHTS)!.subarray(0, 70_000));
    await assertWhole(hub, await pull());
    assertEquals(hub.log.filter((line) => line.includes(WEIGHTS)).length, 1);
  });
});

Deno.test("pullModel() gives up a server that ignores ranges and never gets to what is missing", async () => {
  await scene({ ignoresRange: true, pieceMs: 1, dropAfter: () => 50_000 }, async ({ hub, cache, pull }) => {
    const { sha256 } = hashesOf(hub.files.get(WEIGHTS)!);
    await Deno.mkdir(`${cache}/${FOLDER}/blobs`, { recursive: true });
    await Deno.writeFile(`${cache}/${FOLDER}/blobs/${sha256}.incomplete`, hub.files.get(WEIGHTS)!.subarray(0, 70_000));
    await assertRejects(() => pull(), DownloadError, "(4 tries)");
  });
});

Deno.test("pullModel() refuses wrong bytes, and keeps nothing of them", async () => {
  const content = ({ path }: { path: string }, own: Uint8Array<ArrayBuffer>) =>
    path === WEIGHTS ? own.with(100_000, own[100_000]! ^ 1) : own;
  await scene({ content }, async ({ hub, cache, pull }) => {
    const error = await assertRejects(() => pull(), DownloadError, `Cannot download ${WEIGHTS}`);
    assertEquals(error.code, "Checksum");
    await assertNoPartialBlob(hub, cache);
    assertEquals(blobs(cache).filter((name) => name.endsWith(".incomplete")), []);
    assertEquals([...Deno.readDirSync(`${cache}/${FOLDER}`)].map(({ name }) => name), ["blobs"]);
    hub.faults = {};
    await assertWhole(hub, await pull());
  });
});

Deno.test("pullModel() refuses wrong bytes of small files too", async () => {
  const content = ({ path }: { path: string }, own: Uint8Array<ArrayBuffer>) =>
    path === "config.json" ? own.with(3, own[3]! ^ 1) : own;
  await scene({ content }, async ({ pull }) => {
    const error = await assertRejects(() => pull(), DownloadError, "its git-sha1 differs");
    assertEquals(error.code, "Checksum");
  });
});

Deno.test("pullModel() is not taken in by lies about lengths and ranges", async () => {
  const lies: HubFaults[] = [
    { headers: (_, headers) => headers.set("content-range", "bytes 0-9/10") },
    { headers: ({ begin, end }, headers) => headers.set("content-range", `bytes ${begin}-${end - 1}/999999999`) },
    { headers: ({ begin, end }, headers) => headers.set("content-range", `bytes ${begin + 1}-${end}/*`) },
    { headers: (_, headers) => headers.delete("content-range") },
    {
      ignoresRange: true,
      content: (_, own) => own.subarray(0, 5000),
      headers: (_, headers) => headers.delete("content-length"),
    },
  ];
  for (const lie of lies) {
    await scene(lie, async ({ hub, cache, pull }) => {
      const error = await assertRejects(() => pull(), DownloadError);
      assertEquals(error.code, "Network", error.message);
      await assertNoPartialBlob(hub, cache);
      hub.faults = {};
      await assertWhole(hub, await pull());
    });
  }
});

Deno.test("pullModel() waits as a busy server asks, and gives up one that stays busy", async () => {
  const answer = ({ count }: { count: number }) =>
    count % 3 === 0
      ? new Response("busy", { status: count % 2 ? 429 : 500, headers: { "retry-after": "0" } })
      : undefined;
  await scene({ answer }, async ({ hub, pull }) => await assertWhole(hub, await pull()));
  await scene({ answer: () => new Response("busy", { status: 503 }) }, async ({ pull }) => {
    const error = await assertRejects(() => pull(), DownloadError, "answers 503 (4 tries)");
    assertEquals([error.code, error.status], ["Network", 503]);
  });
});

Deno.test("pullModel() gives up a server that sends nothing", async () => {
  await scene({ pieceMs: 400 }, async ({ pull }) => {
    const retry = { attempts: 1, firstDelayMs: 1, stallMs: 100 };
    await assertRejects(() => pull("org/tiny", { retry }), DownloadError, "sends nothing for 0.1 s");
  });
});

Deno.test("pullModel() under random faults ends whole or with an error, and goes on to the right bytes", async () => {
  const random = new Pcg32(11);
  const chance = (percent: number) => random.integer(0, 99) < percent;
  const answers = [500, 429, 403, 404].map((status) => () => new Response("no", { status }));
  const faults: HubFaults = {
    redirects: true,
    pieceMs: 0,
    answer: () => chance(8) ? answers[random.integer(0, 3)]!() : undefined,
    dropAfter: ({ begin, end }) => chance(20) ? random.integer(0, end - begin) : undefined,
    content: (_, own) => chance(1) ? own.map((byte) => byte ^ 1) : own,
    headers: (_, headers) => chance(3) && headers.delete("content-range"),
  };
  await scene(faults, async ({ hub, cache, pull }) => {
    let whole = 0;
    for (let round = 0; round < 40 && whole < 3; round++) {
      const pulled = await pull().catch((error) => error);
      await assertNoPartialBlob(hub, cache);
      if (pulled instanceof Error) {
        assert(pulled instanceof DownloadError, String(pulled));
        continue;
      }
      await assertWhole(hub, pulled);
      whole++;
      await Deno.remove(`${cache}/${FOLDER}`, { recursive: true });
    }
    assertEquals(whole, 3);
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

Deno.test("pullModel() refuses a listing whose names leave the folder, or whose numbers are none", async () => {
  const lies: [string, (listing: { sha: unknown; siblings: Record<string, unknown>[] }) => unknown][] = [
    ["../../evil", (listing) => (listing.siblings[0]!.rfilename = "../../evil", listing)],
    ["/etc/passwd", (listing) => (listing.siblings[0]!.rfilename = "/etc/passwd", listing)],
    ["a\\\\..\\\\b", (listing) => (listing.siblings[0]!.rfilename = "a\\..\\b", listing)],
    ["the size of config.json is -1", (listing) => (listing.siblings[0]!.size = -1, listing)],
    ["the hash of config.json", (listing) => (listing.siblings[0]!.blobId = "../../x", listing)],
    ["its commit is", (listing) => (listing.sha = "../main", listing)],
    ["it lists no files", () => ({ sha: "a".repeat(40) })],
    ["it lists no files", () => [1]],
  ];
  for (const [message, lie] of lies) {
    await scene({ listing: lie as HubFaults["listing"] & object }, async ({ cache, pull }) => {
      await assertRejects(() => pull(), Error, message === "it lists no files" ? "Cannot use what" : message);
      assertEquals([...Deno.readDirSync(cache)], []);
    });
  }
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

Deno.test("pullModel() refuses what Skein cannot run before it fetches anything", async () => {
  const one = contentOf(10, 1);
  const cases: [string, string[]][] = [
    ["expected model.safetensors or", ["config.json", "consolidated.pth"]],
    ["it has no config.json", ["model.safetensors"]],
    ["it has neither tokenizer.json nor tokenizer.model", ["config.json", "model.safetensors"]],
    ["is one of 3 parts", ["big-00001-of-00003.gguf"]],
  ];
  for (const [message, names] of cases) {
    await scene({}, async ({ hub, pull }) => {
      await assertRejects(() => pull(), FormatError, message);
      assertEquals(hub.log.filter((line) => line.includes("resolve")), []);
    }, new Map(names.map((name) => [name, one])));
  }
});
