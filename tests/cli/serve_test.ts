import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { startServed } from "../server/served_process.ts";
import { lastLine, PG_NANO, skein } from "./skein_process.ts";

Deno.test("serve answers until SIGTERM, and lets what runs come to its end", async () => {
  const served = await startServed([PG_NANO, "--context-length", "256"]);
  const { url } = served;
  assertStringIncludes(url, "http://127.0.0.1:");
  const { data } = await (await fetch(`${url}/v1/models`)).json();
  assertEquals(data[0].id, "pg-nano-yarn-2k");
  const page = await fetch(url);
  assertStringIncludes(page.headers.get("content-type")!, "text/html");
  await page.body?.cancel();
  const response = await fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "pg-nano-yarn-2k", prompt: "The sea", max_tokens: 60, stream: true }),
  });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let answer = (await reader.read()).value!;
  const stopped = served.stop();
  for (let part = await reader.read(); !part.done; part = await reader.read()) answer += part.value;
  assertStringIncludes(answer, "data: [DONE]");
  assertEquals([await stopped, served.stdout()], [0, ""]);
  assert(!served.log().includes("The sea"), served.log());
});

Deno.test("serve refuses what it cannot serve", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const port = String(taken.addr.port);
  for (
    const [args, message] of [
      [["serve"], "Expected MODEL as argument 1"],
      [["serve", PG_NANO, `${PG_NANO}/`], 'two models by the name "pg-nano-yarn-2k"'],
      [["serve", PG_NANO, "--port", "70000"], "a whole number from 0 to 65535"],
      [["serve", PG_NANO, "--port", port], `Cannot listen on 127.0.0.1:${port}: the port is taken; name another`],
      [
        ["serve", PG_NANO, "--host", "0.0.0.0"],
        "Cannot listen on 0.0.0.0:8080 without permission: run Deno with --allow",
      ],
      [["serve", PG_NANO, "--api-key-file", "/nowhere"], "no such file"],
    ] as const
  ) {
    const finished = await skein(args);
    assertEquals([finished.code, finished.stdout], [1, ""]);
    assertStringIncludes(lastLine(finished), message);
  }
});
