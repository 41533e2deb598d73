/**
 * Grammars in Chromium: `deno task test:browser`.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { openSite } from "./chromium.ts";
import { DIST } from "./page_driver.ts";

Deno.test("a text is held to a grammar in a browser, whose Wasm is fetched when it is asked for", async () => {
  await using site = await openSite(DIST);
  const page = await site.newPage();
  const fetched: string[] = [];
  page.on("request", (request) => fetched.push(new URL(request.url()).pathname));
  await page.goto(`${site.url}sample.txt`);
  const run = (grammar?: object) =>
    page.evaluate(async ([address, grammar]) => {
      const { loadModel } = await import(`${address}skein.js`);
      using model = await loadModel(`${address}model`, { contextLength: 256 });
      return (await model.generate("The man", { maxTokens: 4, ...(grammar ? { grammar } : {}) }).result).text;
    }, [site.url, grammar] as const);
  await run();
  assertEquals(fetched.filter((path) => path.includes("grammar")), []);
  const text = await run({ regex: "[0-9]{3}" });
  assert(/^\d{3}$/.test(text), text);
  assertEquals(fetched.filter((path) => path.includes("grammar")), ["/skein_grammar.js"]);
  assertEquals(site.complaints.filter((complaint) => !complaint.includes("404")), []);
});
