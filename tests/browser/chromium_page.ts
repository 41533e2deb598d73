/**
 * The page in Chromium: `deno task test:browser`, which builds it first.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { loadModel } from "../../mod.ts";
import { openSite } from "./chromium.ts";
import { beGreedy, DIST, finish, hasText, load, screenshot, until } from "./page_driver.ts";

const MODEL = new URL("../testdata/pg-nano-yarn-2k", import.meta.url).pathname;

Deno.test("the page writes what Deno writes, and measures", async (t) => {
  await using site = await openSite(DIST);
  const page = await site.newPage();
  await page.goto(site.url);
  await screenshot(page, "choose");
  /** What comes after a step that failed would only wait in vain. */
  const step = async (name: string, body: () => Promise<void>) => assert(await t.step(name, body), name);

  await step("first text within seconds of a load, without a mouse", async () => {
    await page.focus("#from-bundled");
    const started = performance.now();
    await page.keyboard.press("Enter");
    await page.waitForSelector("#work", { state: "visible" });
    assertEquals(await page.getAttribute(":focus", "id"), "continue");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#manuscript .new:not(:empty)", { state: "attached" });
    const seconds = (performance.now() - started) / 1000;
    await page.keyboard.press("Escape");
    await hasText(page, "#continue", /^Continue$/);
    assert(seconds < 5, `The first text came ${seconds.toFixed(1)} s after the load began`);
  });

  await step("the same text as in Deno", async () => {
    await page.click("#take-back");
    await beGreedy(page, 24);
    await page.focus("#manuscript");
    await page.keyboard.press("Control+Enter");
    await hasText(page, "#announcement", /^Wrote 24 tokens$/);
    await screenshot(page, "write");
    using model = await loadModel(MODEL);
    const { text, tokens } = await model.generate("The old man looked at the sea and", { maxTokens: 24 }).result;
    assertEquals(await page.textContent("#manuscript .new"), text);
    assertEquals(tokens.length, 24);
    assert(/^\d+(\.\d)? tokens per second$/.test(await page.textContent("#speed") ?? ""));
  });

  await step("a continuation is taken back, and another one stopped", async () => {
    await page.click("#take-back");
    assertEquals(await page.textContent("#manuscript"), "The old man looked at the sea and");
    await page.click("#continue");
    await page.waitForSelector("#manuscript .new:not(:empty)");
    await page.keyboard.press("Escape");
    await hasText(page, "#continue", /^Continue$/);
    assertEquals(await page.textContent("#work-error"), "");
  });

  await step("perplexity with YaRN and without", async () => {
    await page.focus("[role=tab][aria-selected=true]");
    await page.keyboard.press("ArrowRight");
    await page.fill("#measured-text", "too short");
    await finish(page, "#measure");
    assert((await page.textContent("#work-error"))!.startsWith("The text has "));
    await page.click("#use-sample");
    let sample = "";
    await until(async () => (sample = await page.inputValue("#measured-text")).length > 1000, "the sample");
    await page.fill("#measured-text", sample.slice(0, 1600));
    await finish(page, "#measure");
    await page.click("#plot summary");
    const cells = await page.locator("#plot-rows td").allTextContents();
    const [length, withYarn, without] = cells.map(Number) as [number, number, number];
    assertEquals([length, cells.length], [256, 3]);
    assert(withYarn > 10 && without > 1.2 * withYarn, `Perplexities are ${withYarn} and ${without}`);
    await screenshot(page, "measure");
  });

  await step("wrong choices are told in a sentence", async () => {
    await page.click("#change");
    await page.check("#from-files");
    await page.setInputFiles("#files", []);
    await page.click("#load");
    await hasText(page, "#load-error", /./);
    assertEquals(await page.textContent("#load-error"), "Choose the files of a model, or its folder, first.");
    await screenshot(page, "wrong");
  });

  await step("a folder is loaded, whatever lies in its folders", async () => {
    const folder = await Deno.makeTempDir();
    try {
      await Deno.mkdir(`${folder}/earlier`);
      await Deno.writeTextFile(`${folder}/earlier/config.json`, "{}");
      for await (const { name } of Deno.readDir(MODEL)) await Deno.copyFile(`${MODEL}/${name}`, `${folder}/${name}`);
      await page.setInputFiles("#folder", folder);
      await load(page);
      assertEquals(await page.textContent("#model-name"), folder.replace(/.*\//, ""));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
  assertEquals(site.complaints, []);
});

Deno.test("a browser without WebGPU is told which ones have it", async () => {
  await using site = await openSite(DIST);
  const page = await site.newPage();
  await page.addInitScript("delete Navigator.prototype.gpu");
  await page.goto(site.url);
  await hasText(page, "#load-error", /./);
  assert((await page.textContent("#load-error"))!.includes("Chrome and Edge"));
  assertEquals(await page.isDisabled("#load"), true);
});

Deno.test("a page reads a model by ranges from an address, straight to the GPU", async () => {
  await using site = await openSite(DIST);
  // What a test puts into a page is code that the page's own policy forbids.
  const page = await site.newPage({ bypassCSP: true });
  await page.goto(site.url);
  const statuses: number[] = [];
  page.on("response", (response) => response.url().endsWith(".safetensors") && statuses.push(response.status()));
  const tokens = await page.evaluate<number[]>(`import("/skein.js").then(async ({ loadModel }) => {
    const model = await loadModel(new URL("model/", location.href).href, { contextLength: 256 });
    return [...(await model.generate("The man was riding", { maxTokens: 8 }).result).tokens];
  })`);
  using model = await loadModel(MODEL, { contextLength: 256 });
  assertEquals(tokens, [...(await model.generate("The man was riding", { maxTokens: 8 }).result).tokens]);
  assert(statuses.includes(206) && !statuses.includes(200), `Statuses were ${statuses}`);
});
