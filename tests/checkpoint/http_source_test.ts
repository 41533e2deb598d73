import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { httpSource, type HttpSourceOptions } from "../../src/checkpoint/http_source.ts";
import { readFile } from "../../src/checkpoint/source.ts";
import { DownloadError, FormatError } from "../../src/errors.ts";
import { hubSource } from "../../src/hub/hub_source.ts";
import { parseModelId } from "../../src/hub/model_id.ts";
import { contentOf, type HubFaults, type LocalHub, startHub, tinyFiles } from "../hub/local_hub.ts";

const RETRY = { attempts: 3, firstDelayMs: 1, stallMs: 20_000 };
const WEIGHTS = "model-00001-of-00002.safetensors";
const SMALL = ["config.json", "model.safetensors.index.json", "tokenizer.json", "tokenizer_config.json"];
const SHARDS = [WEIGHTS, "model-00002-of-00002.safetensors"];

async function served(
  faults: HubFaults,
  use: (hub: LocalHub, folder: string) => Promise<void>,
  files = tinyFiles(),
): Promise<void> {
  const hub = startHub(files, faults);
  try {
    await use(hub, `${hub.endpoint}/org/tiny/resolve/main/`);
  } finally {
    await hub.close();
  }
}

const open = (url: string, options: HttpSourceOptions = {}) => httpSource(url, { retry: RETRY, ...options });

Deno.test("httpSource() finds a checkpoint's files and the shards that its index names", async () => {
  await served({ redirects: true }, async (hub, folder) => {
    for (const url of [folder, folder.replace(/\/$/, "")]) {
      const source = open(url);
      // The pickle is there too; what is preferred is decided by whoever opens the checkpoint.
      assertEquals(await source.list(), [...SMALL, ...SHARDS, "pytorch_model.bin"].sort());
      assertEquals(await source.size(WEIGHTS), 300_000);
      assertEquals(await readFile(source, "config.json"), hub.files.get("config.json")!);
      source.close();
    }
  });
});

Deno.test("httpSource() reads ranges, large ones by several requests, and keeps to where a redirect led", async () => {
  await served({ redirects: true }, async (hub, folder) => {
    const source = open(folder);
    const own = hub.files.get(WEIGHTS)!;
    const memory = new Uint8Array(3_000_000);
    const read = await source.read(WEIGHTS, 17, 2_900_017, memory);
    assertEquals(read, own.slice(17, 2_900_017));
    assertEquals(read.buffer, memory.buffer);
    assertEquals(await source.read(WEIGHTS, 5, 5), new Uint8Array());
    assertEquals(hub.log.filter((line) => line.startsWith("hub")).length, 1);
    assertEquals(hub.log.filter((line) => line.startsWith("cdn")).length, 3);
    const error = await assertRejects(() => source.read(WEIGHTS, 0, 3_000_001), FormatError, "it has 3000000 bytes");
    assertEquals(error.code, "Truncated");
    source.close();
  }, tinyFiles(3_000_000));
});

Deno.test("httpSource() asks again where a redirect's address has expired", async () => {
  await served({ redirects: true }, async (hub, folder) => {
    const source = open(folder);
    await source.size(WEIGHTS);
    let denied = 0;
    hub.faults = {
      redirects: true,
      answer: () => denied++ === 0 ? new Response("expired", { status: 403 }) : undefined,
    };
    assertEquals(await source.read(WEIGHTS, 0, 100), hub.files.get(WEIGHTS)!.slice(0, 100));
    source.close();
  });
});

Deno.test("httpSource() reads on where connections break", async () => {
  await served({}, async (hub, folder) => {
    const source = open(folder);
    await source.size(WEIGHTS);
    hub.faults = { pieceMs: 2, dropAfter: ({ begin, end }) => end - begin > 70_000 ? 60_000 : undefined };
    assertEquals(await source.read(WEIGHTS, 1, 200_000), hub.files.get(WEIGHTS)!.slice(1, 200_000));
    hub.faults = { dropAfter: () => 0 };
    await assertRejects(() => source.read(WEIGHTS, 0, 10), DownloadError, `Cannot read ${WEIGHTS}`);
    source.close();
  });
});

Deno.test("httpSource() takes small files whole from a server that ignores ranges, and refuses large ones", async () => {
  const files = tinyFiles();
  files.set("large.bin", contentOf(34_000_000, 9));
  await served({ ignoresRange: true }, async (hub, folder) => {
    const source = open(folder);
    assertEquals((await source.list()).length, SMALL.length + SHARDS.length + 1);
    assertEquals(await source.read(WEIGHTS, 1000, 2000), hub.files.get(WEIGHTS)!.slice(1000, 2000));
    assertEquals(await source.read(WEIGHTS, 0, 300_000, new Uint8Array(400_000)), hub.files.get(WEIGHTS)!);
    assertEquals(hub.log.filter((line) => line.includes(WEIGHTS)).length, 1);
    const error = await assertRejects(
      () => source.size("large.bin"),
      DownloadError,
      "where a range of it is asked for",
    );
    assertEquals(error.code, "Protocol");
    hub.faults = { ignoresRange: true, headers: (_, headers) => headers.delete("content-length") };
    await assertRejects(() => source.size("large.bin"), DownloadError, "where a range of it is asked for");
    source.close();
  }, files);
});

Deno.test("httpSource() notices that a file changed while it was read", async () => {
  await served({}, async (hub, folder) => {
    const source = open(folder);
    await source.read(WEIGHTS, 0, 10);
    hub.files.set(WEIGHTS, contentOf(300_000, 77));
    const error = await assertRejects(
      () => source.read(WEIGHTS, 10, 20),
      DownloadError,
      `${WEIGHTS} changed on the server`,
    );
    assertEquals(error.code, "Changed");
    hub.files.set(WEIGHTS, contentOf(300_001, 77));
    await assertRejects(() => source.read(WEIGHTS, 10, 20), DownloadError, "changed on the server");
    source.close();
  });
});

Deno.test("httpSource() refuses more bytes than it asked for", async () => {
  const lie: HubFaults = {
    content: (_, own) => own,
    headers: ({ begin, end }, headers) => {
      headers.delete("content-length");
      headers.set("content-range", `bytes ${begin}-${end - 1}/300000`);
    },
  };
  await served(lie, async (hub, folder) => {
    const source = open(folder);
    await source.size(WEIGHTS);
    hub.faults = {
      ...lie,
      answer: ({ begin }) =>
        new Response(contentOf(5000, 5), {
          status: 206,
          headers: { "content-range": `bytes ${begin}-${begin + 99}/300000`, "etag": "x" },
        }),
    };
    await assertRejects(() => source.read(WEIGHTS, 0, 100), DownloadError);
    source.close();
  });
});

Deno.test("httpSource() says what is not there and what is denied", async () => {
  await served({}, async (hub, folder) => {
    const source = open(folder);
    const error = await assertRejects(
      () => source.read("none.bin", 0, 1),
      FormatError,
      "Cannot find none.bin in http://",
    );
    assertEquals(error.code, "Missing");
    hub.faults = { answer: () => new Response("denied", { status: 403 }) };
    await assertRejects(() => open(folder).list(), DownloadError, "answers 403");
    source.close();
  });
});

Deno.test("httpSource() reads one GGUF file by its address, and no other protocol", async () => {
  await served({}, async (hub, folder) => {
    const source = open(`${folder}a%20b.gguf?download=true`);
    assertEquals(await source.list(), ["a b.gguf"]);
    assertEquals(await source.read("a b.gguf", 3, 9), hub.files.get("a b.gguf")!.slice(3, 9));
    assert(!source.name.includes("?"));
    source.close();
  }, new Map([["a b.gguf", contentOf(100, 1)]]));
  assertThrows(() => httpSource("file:///models/x"), TypeError, "Cannot load from file:");
});

Deno.test("httpSource() sends its headers to its own origin only", async () => {
  await served({ redirects: true, token: "hf_secret" }, async (hub, folder) => {
    const source = open(folder, { headers: { authorization: "Bearer hf_secret" } });
    assertEquals(await source.read(WEIGHTS, 100, 200), hub.files.get(WEIGHTS)!.slice(100, 200));
    assertEquals(hub.leaks, []);
    source.close();
  });
});

Deno.test("httpSource() that is closed reads nothing more", async () => {
  await served({}, async (_, folder) => {
    const source = open(folder);
    source.close();
    await assertRejects(() => source.size("config.json"), DOMException, "was closed");
  });
});

Deno.test("hubSource() reads the files that Skein needs of one commit", async () => {
  await served({ redirects: true, token: "hf_secret" }, async (hub) => {
    const from = { endpoint: hub.endpoint, token: "hf_secret", retry: RETRY };
    const source = await hubSource(parseModelId("org/tiny")!, from);
    assertEquals(await source.list(), [...SMALL, ...SHARDS].sort());
    assertEquals(await readFile(source, "tokenizer.json"), hub.files.get("tokenizer.json")!);
    assertEquals(source.name, "org/tiny");
    source.close();
    const stranger = await hubSource(parseModelId("org/tiny")!, { ...from, token: undefined }).catch((error) => error);
    assertEquals([stranger.name, stranger.code], ["DownloadError", "Gated"]);
  });
});
