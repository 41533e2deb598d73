import { assert, assertEquals } from "@std/assert";
import { loadModel } from "../../mod.ts";
import { FaultyDevice } from "../faults/faulty_device.ts";
import { MODEL, serveModel } from "./served_model.ts";

const FOLDER = new URL("../testdata/tiny/head_dim_64", import.meta.url).pathname;

Deno.test("a client that leaves while its prompt is fed stops the work within a few calls to the device", async () => {
  using counted = await FaultyDevice.request();
  // Chunks of one token, so that a prompt takes many submits.
  const options = { contextLength: 512, prefillChunk: 1, device: counted.device };
  using model = await loadModel(FOLDER, options);
  await using served = await serveModel({ prefixCache: 0 }, model);
  const body = { model: MODEL, prompt: Array.from({ length: 500 }, (_, i) => 3 + i % 120), max_tokens: 1 };
  let before = counted.calls;
  assertEquals((await served.post("/v1/completions", body)).status, 200);
  const whole = counted.calls - before;
  before = counted.calls;
  const leaving = new AbortController();
  counted.onCall = (call) => {
    if (call === before + 20) leaving.abort();
  };
  const left = await fetch(`${served.url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal: leaving.signal,
  }).catch(() => "left");
  assertEquals(left, "left");
  for (
    const end = performance.now() + 20_000;
    performance.now() < end && !served.log.some((line) => / 499 /.test(line));
  ) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const calls = counted.calls - before;
  assert(calls < whole / 2, `${calls} calls, and ${whole} for the whole prompt`);
  assertEquals(served.log.filter((line) => / 499 /.test(line)).length, 1);
});
