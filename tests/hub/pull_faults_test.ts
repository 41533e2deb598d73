import { assert, assertEquals, assertRejects } from "@std/assert";
import { CapacityError, DownloadError } from "../../src/errors.ts";
import { Pcg32 } from "../../src/eval/pcg32.ts";
import type { DownloadProgress } from "../../src/hub/transfer_progress.ts";
import { withRoomFor } from "../faults/full_disk.ts";
import { contentOf, hashesOf, type HubFaults } from "./local_hub.ts";
import { assertNoPartialBlob, assertWhole, blobs, FOLDER, scene, WEIGHTS } from "./pull_scene.ts";

Deno.test("pullModel() finishes over connections that keep breaking", async () => {
  const dropAfter = ({ count, begin, end }: { count: number; begin: number; end: number }) =>
    count % 2 === 0 && end - begin > 1000 ? (end - begin) >> 1 : undefined;
  await scene({ redirects: true, dropAfter }, async ({ hub, cache, pull }) => {
    await assertWhole(hub, await pull());
    await assertNoPartialBlob(hub, cache);
  });
});

Deno.test("pullModel() says that the disk is full, and goes on from there when it is not", async () => {
  await scene({}, async ({ hub, cache, pull }) => {
    const size = hub.files.get(WEIGHTS)!.length;
    for (const room of [0, 1000, size >> 1]) {
      await assertRejects(() => withRoomFor(room, () => pull()), CapacityError, "the disk is full after ");
      await assertNoPartialBlob(hub, cache);
    }
    await assertWhole(hub, await pull());
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
