import { assert, assertEquals, assertRejects } from "@std/assert";
import { DownloadError, FormatError, inspectModel, loadModel, pull } from "../../mod.ts";
import { type LocalHub, startHub } from "../hub/local_hub.ts";

const LOCAL = new URL("../testdata/tiny/storage_forms/safetensors_sharded", import.meta.url).pathname;
const PROMPT = [1, 2, 3, 4, 5, 6, 7];

/** A hub with the model that also lies on disk, a cache, and the variables that say so. */
async function withHub(use: (hub: LocalHub) => Promise<void>): Promise<void> {
  const names = [...Deno.readDirSync(LOCAL)].map(({ name }) => name);
  const hub = startHub(new Map(names.map((name) => [name, Deno.readFileSync(`${LOCAL}/${name}`)])), {
    redirects: true,
  });
  const home = await Deno.makeTempDir();
  const variables = { HF_ENDPOINT: hub.endpoint, HF_HOME: home };
  for (const [name, value] of Object.entries(variables)) Deno.env.set(name, value);
  try {
    await use(hub);
  } finally {
    for (const name of [...Object.keys(variables), "HF_HUB_OFFLINE"]) Deno.env.delete(name);
    await hub.close();
    await Deno.remove(home, { recursive: true });
  }
}

async function logprobs(source: string, cache: boolean = true): Promise<Float32Array> {
  using model = await loadModel(source, { contextLength: 64, cache });
  return (await model.score(PROMPT)).logprobs;
}

const expected = await logprobs(LOCAL);

Deno.test("loadModel() takes an id, fetches it once, and gives what the same files on disk give", async () => {
  await withHub(async (hub) => {
    const phases = new Set<string>();
    using model = await loadModel("org/tiny", { contextLength: 64, onProgress: ({ phase }) => phases.add(phase) });
    assertEquals((await model.score(PROMPT)).logprobs, expected);
    assertEquals([...phases], ["download", "load"]);
    hub.log.length = 0;
    Deno.env.set("HF_HUB_OFFLINE", "1");
    assertEquals(await logprobs("org/tiny"), expected);
    assertEquals((await pull("org/tiny")).isNew, false);
    assertEquals(hub.log, []);
  });
});

Deno.test("loadModel() without a cache reads ranges of a hub's model or of any address, and keeps nothing", async () => {
  await withHub(async (hub) => {
    assertEquals(await logprobs("org/tiny", false), expected);
    assertEquals(await logprobs(`${hub.endpoint}/org/tiny/resolve/main/`), expected);
    assertEquals([...Deno.readDirSync(Deno.env.get("HF_HOME")!)], []);
    assert(hub.log.some((line) => line.startsWith("cdn")));
  });
});

Deno.test("inspectModel() of an id reads headers and downloads nothing", async () => {
  await withHub(async () => {
    const { tensors, plan } = await inspectModel("org/tiny", { contextLength: 64 });
    assertEquals(tensors, (await inspectModel(LOCAL)).tensors);
    assert(plan.length > 0);
    assertEquals([...Deno.readDirSync(Deno.env.get("HF_HOME")!)], []);
  });
});

Deno.test("loadModel() refuses a config that Skein does not run before the weights are fetched", async () => {
  await withHub(async (hub) => {
    hub.files.set("config.json", new TextEncoder().encode(`{"architectures": ["BertModel"]}`));
    await assertRejects(() => loadModel("org/tiny"), FormatError, "BertModel");
    hub.files.set("config.json", new TextEncoder().encode("{"));
    await assertRejects(() => pull("org/tiny"), FormatError, "Cannot read config.json of org/tiny");
    assertEquals(hub.log.filter((line) => line.includes("safetensors ")), []);
  });
});

Deno.test("a folder of an id's name wins, and what is neither is refused by both names", async () => {
  await withHub(async (hub) => {
    const before = Deno.cwd();
    Deno.chdir(new URL("../testdata", import.meta.url));
    try {
      assert((await inspectModel("tiny/gqa_tied")).tensors.length > 0);
      assertEquals(hub.log, []);
    } finally {
      Deno.chdir(before);
    }
    await assertRejects(() => loadModel("org/none"), DownloadError, "there is no folder org/none here either");
    await assertRejects(() => loadModel("no/such/model"), FormatError, "Cannot find no/such/model");
    await assertRejects(() => pull("model"), RangeError, 'Cannot download "model"');
    Deno.env.set("HF_HUB_OFFLINE", "1");
    await assertRejects(() => inspectModel("org/tiny"), DownloadError, "HF_HUB_OFFLINE is set");
  });
});
