import { assert, assertEquals, assertRejects } from "@std/assert";
import { CapacityError, FormatError, loadModel, type LoadOptions, type Model } from "../../mod.ts";
import { withRoomFor } from "../faults/full_disk.ts";

const folder = new URL("../testdata/pg-nano-yarn-2k", import.meta.url).pathname;
const open = (options: LoadOptions = {}): Promise<Model> => loadModel(folder, { contextLength: 600, ...options });
const PROMPT = "The man was riding just below the summit of the ridge";

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempDir();
  try {
    await run(path);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

Deno.test("a restored session and a fork continue like the session itself", () =>
  inFolder(async (path) => {
    using model = await open();
    using session = model.createSession();
    session.append(PROMPT);
    await session.generate({ maxTokens: 300 }).result;
    await session.save(`${path}/a.session`);
    using fork = session.fork();
    const expected = (await session.generate({ maxTokens: 20 }).result).text;
    assertEquals((await fork.generate({ maxTokens: 20 }).result).text, expected);
    using restored = await model.restoreSession(`${path}/a.session`);
    assertEquals(restored.length, session.length - 20);
    const { text, timings } = await restored.generate({ maxTokens: 20 }).result;
    assertEquals(text, expected);
    assert(timings.prefillTokensPerSecond > 0);
    assertEquals([...Deno.readDirSync(path)].map(({ name }) => name), ["a.session"]);
  }));

Deno.test("a session file of another model, scaling or cache format is refused, and so is a damaged one", () =>
  inFolder(async (path) => {
    const file = `${path}/a.session`;
    using model = await open();
    {
      using session = model.createSession();
      session.append(PROMPT);
      await session.generate({ maxTokens: 3 }).result;
      await session.save(file);
    }
    const refused = async (other: Model, code: string) => {
      const error = await assertRejects(() => other.restoreSession(file), FormatError, `Cannot restore ${file}`);
      assertEquals(error.code, code);
    };
    for (
      const [options, code] of [
        [{ ropeScaling: "none" }, "OtherScaling"],
        [{ kvCache: "f32" }, "OtherFormat"],
        [{ weights: "q8" }, "OtherModel"],
      ] as [LoadOptions, string][]
    ) {
      using other = await open(options);
      await refused(other, code);
    }
    using small = await open({ contextLength: 8 });
    await assertRejects(() => small.restoreSession(file), CapacityError, "the context length is 8");
    const whole = await Deno.readFile(file);
    for (const length of [0, 5, 11, 14, 200, whole.length - 1]) {
      await Deno.writeFile(file, whole.subarray(0, length));
      await assertRejects(() => model.restoreSession(file), FormatError, file);
    }
    await Deno.writeFile(file, new Uint8Array([...whole, 0]));
    await refused(model, "Truncated");
    await assertRejects(() => model.restoreSession(`${path}/none`), FormatError, "there is no such file");
  }));

Deno.test("a session goes through a stream and a blob, and outlives a stream that fails", async () => {
  using model = await open();
  using session = model.createSession();
  session.append(PROMPT);
  await session.generate({ maxTokens: 5 }).result;
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array<ArrayBuffer>>();
  const [blob] = await Promise.all([new Response(readable).blob(), session.save(writable)]);
  using restored = await model.restoreSession(blob);
  assertEquals(restored.tokens, session.tokens);
  const { text } = await session.generate({ maxTokens: 5 }).result;
  assertEquals((await restored.generate({ maxTokens: 5 }).result).text, text);
  await assertRejects(() => model.restoreSession(blob.slice(0, 100)), FormatError, "Cannot restore the session");

  const full = new WritableStream({ write: () => Promise.reject(new Error("no space left")) });
  await assertRejects(() => session.save(full), Error, "no space left");
  assertEquals((await session.generate({ maxTokens: 1 }).result).tokens.length, 1);
});

Deno.test("a save that fails leaves the old file and nothing else", () =>
  inFolder(async (path) => {
    using model = await open();
    using session = model.createSession();
    session.append(PROMPT);
    await session.generate({ maxTokens: 1 }).result;
    await Deno.mkdir(`${path}/taken`);
    await Deno.writeTextFile(`${path}/taken/old`, "old");
    await assertRejects(() => session.save(`${path}/taken`), Error);
    assertEquals([...Deno.readDirSync(path)].map(({ name }) => name), ["taken"]);
    assertEquals(await Deno.readTextFile(`${path}/taken/old`), "old");
    assertEquals((await session.generate({ maxTokens: 1 }).result).tokens.length, 1);
  }));

Deno.test("a save onto a full disk leaves the old file, and says so", () =>
  inFolder(async (path) => {
    const file = `${path}/a.session`;
    using model = await open();
    using session = model.createSession();
    session.append(PROMPT);
    await session.generate({ maxTokens: 1 }).result;
    await session.save(file);
    const old = await Deno.readFile(file);
    await session.generate({ maxTokens: 1 }).result;
    for (const room of [0, 8, 100, old.length]) {
      const save = () => withRoomFor(room, () => session.save(file));
      await assertRejects(save, CapacityError, `Cannot write ${file}: the disk is full after ${room} bytes of it`);
      assertEquals([...Deno.readDirSync(path)].map(({ name }) => name), ["a.session"]);
    }
    assertEquals(await Deno.readFile(file), old);
    assertEquals((await session.generate({ maxTokens: 1 }).result).tokens.length, 1);
  }));
