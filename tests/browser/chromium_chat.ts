/**
 * Conversations in the page, with a model in Chromium and with one of a server: `deno task test:browser`.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
// deno-lint-ignore no-import-prefix
import type { Page } from "npm:playwright-core@1.65.1";
import { Buffer } from "node:buffer";
import { type ChatMessage, loadModel, type Model } from "../../mod.ts";
import { folderPage } from "../../src/server/page.ts";
import { chatFolder, PLAIN_TEMPLATE } from "../chat/chat_folder.ts";
import { freeSharedModel, MODEL as SERVED, serveModel } from "../server/served_model.ts";
import { openChromium, openSite } from "./chromium.ts";
import { beGreedy, DIST, finish, hasText, load, screenshot } from "./page_driver.ts";

const N_TOKENS = 8;

/** Leads a conversation in the page and checks it against the same one in Deno. */
async function converse(page: Page, model: Model): Promise<void> {
  const expected: ChatMessage[] = [];
  for (const question of ["Where was the man?", "And what did he do then?"]) {
    await page.fill("#message", question);
    await page.keyboard.press("Enter");
    await page.waitForSelector(`#messages li:nth-child(${expected.length + 2}):not([aria-busy])`, {
      state: "attached",
    });
    await hasText(page, "#send", /^Send$/);
    expected.push({ role: "user", content: question });
    const { text } = await model.chat(expected, { maxTokens: N_TOKENS }).result;
    expected.push({ role: "assistant", content: text.trimStart() });
    assertEquals(await page.textContent("#work-error"), "");
  }
  assertEquals(await page.locator("#messages li").allTextContents(), expected.map(({ content }) => content));
  assertEquals(await page.getAttribute(":focus", "id"), "message");
}

Deno.test("the page chats by a model's own template, as Deno does", async () => {
  await using site = await openSite(DIST);
  await using folder = await chatFolder();
  const page = await site.newPage();
  await page.goto(site.url);
  const read = async (name: string) => Buffer.from(await Deno.readFile(`${folder.path}/${name}`));
  const mimeType = "application/octet-stream";
  const files = [{ name: "chat_template.jinja", mimeType, buffer: Buffer.from(PLAIN_TEMPLATE) }];
  for (const name of ["config.json", "tokenizer.json", "model.safetensors"]) {
    files.push({ name, mimeType, buffer: await read(name) });
  }
  await page.check("#from-files");
  await page.setInputFiles("#files", files);
  await load(page);
  assertEquals(await page.getAttribute(":focus", "id"), "message");
  await beGreedy(page, N_TOKENS);
  {
    using model = await loadModel(folder.path);
    await converse(page, model);
  }
  await screenshot(page, "chat");

  await beGreedy(page, 1000);
  await page.fill("#message", "Go on");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#messages li:nth-child(6):not(:empty)", { state: "attached" });
  await page.keyboard.press("Escape");
  await hasText(page, "#send", /^Send$/);
  assertEquals(await page.textContent("#work-error"), "");
  await page.click("#edit-last");
  assertEquals(await page.inputValue("#message"), "Go on");
  assertEquals(await page.locator("#messages li").count(), 4);
  await page.click("#forget");
  assertEquals(await page.locator("#messages li").count(), 0);
  assertEquals(site.complaints, []);
});

Deno.test("the page of a server speaks with the server's model", async () => {
  try {
    await using served = await serveModel({ page: folderPage(DIST) });
    await using chromium = await openChromium();
    const page = await chromium.newPage();
    await page.goto(served.url);
    await page.waitForSelector("#work", { state: "visible" });
    assertEquals(await page.textContent("#model-name"), SERVED);
    assertEquals(await page.isVisible("#tab-measure"), false);
    await beGreedy(page, N_TOKENS);
    await converse(page, served.model);
    await screenshot(page, "served");

    await page.click("#tab-write");
    await finish(page, "#continue");
    const { text, usage } = await served.model.generate("The old man looked at the sea and", { maxTokens: N_TOKENS })
      .result;
    assertEquals(await page.textContent("#manuscript .new"), text);
    const nTokens = usage.promptTokens + usage.completionTokens;
    assertEquals(await page.textContent("#context-use"), `${nTokens} of ${served.model.contextLength} tokens`);
    assertEquals(await page.textContent("#announcement"), `Wrote ${usage.completionTokens} tokens`);

    // The page is for models on this device too.
    await page.click("#change");
    assertEquals(await page.isChecked("#from-server-0"), true);
    await page.check("#from-bundled");
    await load(page);
    assertEquals(await page.isVisible("#tab-measure"), true);
    assertEquals(await page.isVisible("#no-template"), true);
    assertEquals(chromium.complaints, []);
  } finally {
    await freeSharedModel();
  }
});
