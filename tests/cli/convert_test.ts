import { assertEquals, assertStringIncludes } from "@std/assert";
import { lastLine, skein } from "./skein_process.ts";

const MODEL = new URL("../testdata/tiny/gqa_tied", import.meta.url).pathname;

Deno.test("skein convert writes a folder that other commands take", async () => {
  const folder = await Deno.makeTempDir();
  const env = { INIT_CWD: folder };
  try {
    const refused = await skein(["convert", MODEL, "out"], { env });
    assertEquals([refused.code, refused.stdout], [1, ""]);
    assertStringIncludes(lastLine(refused), "Expected --weights f16, q8 or q4");
    const converted = await skein(["convert", MODEL, "out", "--weights", "q8", "--shard-bytes", "20kB", "--json"], {
      env,
    });
    assertEquals(converted.code, 0, converted.stderr);
    const { path, weights, files } = JSON.parse(converted.stdout);
    assertEquals([path, weights, files[0]], [`${folder}/out`, "q8", `model-00001-of-0000${files.length}.safetensors`]);
    const args = ["--text", "Hello there", "--json"];
    const own = await skein(["score", "out", ...args], { env });
    assertEquals(own.stdout, (await skein(["score", MODEL, "--weights", "q8", ...args], { env })).stdout, own.stderr);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
